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

from switchpoint.errors import ParameterError

if TYPE_CHECKING:
    from switchpoint.documents import Parameters

# run_details.DisplayName and .Description, in characters: model/run.go gives them no length, so they get MySQL's
# DefaultStringSize of client_manager/client_manager.go.
TEXT = 255
EXPERIMENT = 128  # bytes: validation/length.go, Experiment.Name
VERSION = 127  # bytes: validation/length.go, PipelineVersion.Name
TAG = 63  # characters of a tag's value: model/pipeline_tags.go, MaxTagValueLength
SERVICE_ACCOUNT = 253  # bytes: Kubernetes' DNS subdomain, shorter than the 255 of run_details.ServiceAccount
ARGUMENT = 128 * 1024 - 1  # bytes of one argument: Linux, MAX_ARG_STRLEN

# The report's `--executor_input` holds all of its inputs and outputs (v2/driver/container.go): so many bytes, and so
# many addresses that begin with the pipeline root, without a switch epoch and for each one; test_limits.py counts them.
FIXED, FIXED_ROOTS = 11_500, 8
EACH, EACH_ROOTS = 2_800, 3
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
    """Refuse a run whose report could not be started, for all of its inputs are one argument of a process.

    Raises:
        ParameterError: There are too many switch epochs for so long a pipeline root.
    """
    root, epochs = pipeline_root or ROOT, len(values["switch_epochs"])
    room = ARGUMENT - argument(0, root)
    most = max(room // (argument(1, root) - argument(0, root)), 0)
    if epochs > most:
        raise ParameterError(
            f"switch_epochs has {epochs} epochs: a run on Kubeflow takes {most} at most here, since KFP hands the "
            "report all of its inputs in one argument. Spread them over several runs, or give a shorter "
            "--pipeline-root."
        )


def argument(epochs: int, root: str) -> int:
    """Bytes of the report's longest argument, at most."""
    return FIXED + EACH * epochs + (FIXED_ROOTS + EACH_ROOTS * epochs) * len(root.encode())
