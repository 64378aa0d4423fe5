"""How long the texts may be that Kubeflow Pipelines keeps.

It stores a run after it has made the run's workflow. What its database refuses then is answered with 500, and the
workflow goes on as an orphan that no list shows. So nothing is sent that would be refused. The limits are those of
kubeflow/pipelines 2.17.0, backend/src/apiserver; docs/kubeflow.md has them as a table.

The connection to MySQL is `charset=utf8` (client/sql.go), whose characters have three bytes at most: a pizza (U+1F355)
is an error there, wherever it stands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from switchpoint.command.runs.steps import rounds
from switchpoint.errors import ParameterError
from switchpoint.training.rungs import left

if TYPE_CHECKING:
    from switchpoint.documents.lineage import Parameters

# run_details.DisplayName and .Description, in characters: model/run.go gives them no length, so they get MySQL's
# DefaultStringSize of client_manager/client_manager.go.
TEXT = 255
EXPERIMENT = 128  # bytes: validation/length.go, Experiment.Name
VERSION = 127  # bytes: validation/length.go, PipelineVersion.Name
TAG = 63  # characters of a tag's value: model/pipeline_tags.go, MaxTagValueLength
SERVICE_ACCOUNT = 253  # bytes: Kubernetes' DNS subdomain, shorter than the 255 of run_details.ServiceAccount
ARGUMENT = 128 * 1024 - 1  # bytes of one argument: Linux, MAX_ARG_STRLEN

# A step's `--executor_input` holds all of its inputs and outputs (v2/driver/container.go). Two grow: that of collect by
# a history, a model and an evaluation for each fine-tuning, that of report by a directory for each seed that names all
# trainings in it: so many bytes, and so many addresses that begin with the pipeline root; test_limits.py counts them.
COLLECT, COLLECT_ROOTS = 6_600, 5
EACH_EPOCH, EACH_EPOCH_ROOTS = 2_900, 3
REPORT, REPORT_ROOTS = 8_300, 4
EACH_SEED, EACH_SEED_ROOTS, EACH_TRAINING = 700, 1, 270
# A search's halving takes a history of each candidate; report one artifact more, whose lineage names them.
HALVE, HALVE_ROOTS, EACH_HALVED, EACH_HALVED_ROOTS = 1_450, 2, 1_150, 1
SEARCH, SEARCH_ROOTS, EACH_SEARCHED = 800, 1, 90
# Where a cluster keeps artifacts that nobody named a place for; an own default may be longer than Kubeflow's.
ROOT = "minio://mlpipeline/v2/artifacts"

_TOO_WIDE = re.compile("[\U00010000-\U0010ffff\ud800-\udfff]")


def text(said: str, most: int = TEXT) -> str:
    """A text as the database takes it: at most so many characters, the end cut, each of three bytes at most."""
    plain = _TOO_WIDE.sub("\ufffd", said)
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def name(first: str, last: str, most: int = TEXT) -> str:
    """Two texts as one, of which the last is kept whole as long as it can be."""
    return text(f"{text(first, max(most - len(last), 1))}{last}", most)


def slug(said: str, most: int) -> str:
    """A name of lower-case letters, digits and hyphens, which is as many bytes as characters."""
    return re.sub(r"[^a-z0-9]+", "-", said.lower()).strip("-")[:most]


def check(what: str, said: str, most: int) -> None:
    """Refuse a name that, when cut, would be another one.

    Raises:
        ParameterError: It has too many bytes, or a character that the database has not.
    """
    if (found := len(said.encode("utf-8", "surrogatepass"))) > most:
        raise ParameterError(f"{what} has {found} bytes; Kubeflow Pipelines takes {most}. Give a shorter one.")
    check_characters(what, said)


def check_characters(what: str, said: str) -> None:
    """Refuse what the database can't hold.

    Raises:
        ParameterError: It has a character of four bytes, or one that is not UTF-8.
    """
    if found := _TOO_WIDE.search(said):
        raise ParameterError(
            f"{what} has the character {found[0]!r}, which the database of Kubeflow Pipelines can't hold. Rename it."
        )


def check_arguments(values: Parameters, pipeline_root: str | None) -> None:
    """Refuse a run of which a step could not be started, for all inputs of a step are one argument of a process.

    Raises:
        ParameterError: There are too many fine-tunings or seeds for so long a pipeline root.
    """
    root, tried, seeds = pipeline_root or ROOT, len(rounds(values)), len(values["seeds"])
    name, searched = "switch_epochs × finetune_learning_rate", 0
    if values["search"] == "halving":
        _check_count(name, tried, halved(0, root), halved(1, root))
        tuned, searched = left(left(tried)), tried
    else:
        _check_count(name, tried, collected(0, root), collected(1, root))
        tuned = tried
    _check_count("seeds", seeds, reported(0, tuned, root, searched), reported(1, tuned, root, searched))


def _check_count(name: str, given: int, without: int, with_one: int) -> None:
    """Refuse more values than fit, where an argument has so many bytes without any of them, and with one."""
    most = max((ARGUMENT - without) // (with_one - without), 0)
    if given > most:
        raise ParameterError(
            f"{name} has {given} values: a run on Kubeflow takes {most} at most here, since KFP hands a step all of "
            "its inputs in one argument. Spread them over several runs, or give a shorter --pipeline-root."
        )


def collected(epochs: int, root: str) -> int:
    """Bytes of collect's longest argument, at most."""
    return COLLECT + EACH_EPOCH * epochs + (COLLECT_ROOTS + EACH_EPOCH_ROOTS * epochs) * len(root.encode())


def halved(candidates: int, root: str) -> int:
    """Bytes of halve's longest argument, at most."""
    return HALVE + EACH_HALVED * candidates + (HALVE_ROOTS + EACH_HALVED_ROOTS * candidates) * len(root.encode())


def reported(seeds: int, epochs: int, root: str, searched: int = 0) -> int:
    """Bytes of report's longest argument, at most; `searched` counts the candidates of a search."""
    each = EACH_SEED + EACH_TRAINING * (epochs + 1)
    search = SEARCH + EACH_SEARCHED * searched + SEARCH_ROOTS * len(root.encode()) if searched else 0
    return REPORT + search + each * seeds + (REPORT_ROOTS + EACH_SEED_ROOTS * seeds) * len(root.encode())
