"""Report: what was collected of each seed becomes a verdict, a table, the lab's graphs and the best model."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from components.report import leaks, page
from components.report import search as searching
from components.report.choice import choose
from components.report.origin import Origin
from components.report.starts import Comparison, Start, Training
from components.report.verdict import points, unsteady, verdict
from components.report.wording import conclusion
from switchpoint.config import Config
from switchpoint.errors import RecordsError, again
from switchpoint.files import copy, write_json, write_text
from switchpoint.inference import differences
from switchpoint.provenance.digests import file_digest
from switchpoint.provenance.metadata import embedded
from switchpoint.registry import logged
from switchpoint.tracking import Tracker
from switchpoint.training import collected, rungs
from switchpoint.training.collected import Candidate

if TYPE_CHECKING:
    from switchpoint.documents.evaluation import Answers, Evaluation
    from switchpoint.documents.records import Source
    from switchpoint.documents.results import Result, Results
    from switchpoint.documents.training import History, Search


class Outputs(NamedTuple):
    """Files to write.

    Attributes:
        page: HTML, one file that needs nothing else.
        results: JSON: a `documents.Results`.
        model: The best model.
    """

    page: Path
    results: Path
    model: Path


@dataclass(frozen=True)
class ReportConfig(Config):
    """What the report is given.

    Attributes:
        meanings: What each of the pipeline's parameters is, from its signature's docstring.
    """

    meanings: dict[str, str]


def report(
    trainings: Mapping[Path, str],
    source: Path,
    outputs: Outputs,
    config: ReportConfig,
    search: tuple[Path, str] | None = None,
) -> dict[str, str]:
    """Compare the starts and keep the best model: chosen on validation, reported on test.

    Args:
        trainings: Directories that collect wrote, a seed each, with the digest that it gave them.
        source: What prepare wrote of the dataset.
        outputs: What to write.
        config: What a reader is told of the parameters.
        search: What halve wrote and its digest, where candidates were searched.

    Returns:
        The digest of each output.

    Raises:
        RecordsError: The seeds were not tried on the same photos, `source` is of others, the search was of other
            candidates, or a file is not what its step wrote.
        LineageError: A model file carries no lineage.
    """
    photos = _read(source)
    starts = read(trainings)
    _check_records(photos, starts)
    searched = rungs.read(*search) if search else None
    if searched:
        searching.check(searched, starts)
    compared = compare(starts, photos["leaked"], searched)
    pretrained = _read(next(iter(trainings)) / collected.PRETRAINED)
    lineages = [embedded(each[0].model) for start in compared.starts for each in start.tried]
    best, seeds = compared.best, compared.document["starts"][0]["seeds"]
    origin = Origin(
        photos, pretrained, lineages, embedded(best.model), best.evaluation["lineage"], seeds, config.meanings
    )
    write_json(outputs.results, compared.document)
    write_text(outputs.page, page.html(compared, origin))
    copy(best.model, outputs.model)
    with Tracker("report") as tracker:
        tracker.tell(lambda client, run: logged.tell(client, run, outputs.results, outputs.page, outputs.model))
    return {
        "page": file_digest(outputs.page),
        "results": file_digest(outputs.results),
        "model": compared.document["best"]["model_digest"],
    }


def read(trainings: Mapping[Path, str]) -> list[Start]:
    """The starts, transfer learning alone first, each with a training a seed, in the order of the seeds.

    Raises:
        RecordsError: The seeds have other starts, or were tried on other photos, or a file is not what collect wrote.
    """
    manifests = {directory: collected.read(directory, digest) for directory, digest in trainings.items()}
    seeds = sorted(trainings, key=lambda directory: manifests[directory]["seed"])
    candidates = manifests[seeds[0]]["candidates"]
    if others := [directory for directory in seeds if manifests[directory]["candidates"] != candidates]:
        raise RecordsError(
            "Seeds can be compared when they have the same switch epochs and learning rates. Seed "
            f"{manifests[seeds[0]]['seed']} has {candidates}, seed {manifests[others[0]]['seed']} "
            f"{manifests[others[0]]['candidates']}. {again('collect')}"
        )
    tried: dict[int, list[list[Training]]] = {}
    for candidate in itertools.starmap(Candidate, candidates):
        trained = [_training(directory, candidate, manifests[directory]["seed"]) for directory in seeds]
        tried.setdefault(candidate.switch_epoch, []).append(trained)
    starts = [Start.at_its_best(each) for each in tried.values()]
    labels = [_labels(each.evaluation) for start in starts for trained in start.tried for each in trained]
    if any(each != labels[0] for each in labels):
        raise RecordsError(
            "Only evaluations of the same test photos and the same validation photos can be compared. "
            + again("evaluate")
        )
    return starts


def _check_records(source: Source, starts: Sequence[Start]) -> None:
    """Refuse what prepare wrote of other records: its places of leaked photos would be those of others."""
    tried = (each.evaluation for start in starts for trained in start.tried for each in trained)
    if others := {each["lineage"]["inputs"]["records"] for each in tried} - {source["records"]}:
        raise RecordsError(
            f"What prepare wrote of the dataset is of the records {source['records']}, but evaluations are of "
            f"{', '.join(sorted(others))}. {again('prepare')}"
        )


def _training(directory: Path, candidate: Candidate, seed: int) -> Training:
    files = collected.files(directory, candidate)
    history: History = _read(files.history)
    evaluation: Evaluation = _read(files.evaluation)
    return Training(result(history, evaluation, seed), history, evaluation, files.model)


def _labels(evaluation: Evaluation) -> tuple[list[int], list[int]]:
    return evaluation["labels"], evaluation["validation"]["labels"]


def compare(starts: Sequence[Start], leaked: Sequence[int] = (), search: Search | None = None) -> Comparison:
    """Choose by the validation photos, and say what the test photos say of it.

    Args:
        starts: From `read`.
        leaked: Places of the test photos of which train or validation has a copy.
        search: What became of all candidates, where these were searched.
    """
    on_test = np.array([[right(each.evaluation) for each in start.trainings] for start in starts])
    held_out = [[right(each.evaluation["validation"]) for each in start.trainings] for start in starts]
    apart = differences(on_test, unsteady=unsteady(starts)) if len(starts) > 1 else []
    for each in apart:
        if not each.against:
            starts[each.start].gain = points(each)
    choice = choose(np.array(held_out), [start.trainings for start in starts])
    if len(starts[choice.start].tried) > 1:
        rate = starts[choice.start].learning_rate
        choice = choice._replace(why=f"{choice.why}, at a learning rate of {rate:g}, the best for it of those tried")
    best = starts[choice.start].published()
    judged = verdict(starts, on_test, apart, choice)
    document: Results = {
        "results": [
            *(each.result for start in starts for trained in start.tried for each in trained),
            *searching.results(search),
        ],
        "search": searching.summary(search, starts),
        "starts": [start.summary() for start in starts],
        "best": {
            "switch_epoch": best.result["switch_epoch"],
            "learning_rate": best.result["learning_rate"],
            "seed": best.result["seed"],
            "model_digest": best.result["model_digest"],
        },
        "verdict": judged,
        "differences": [
            {
                "start": starts[each.start].switch_epoch,
                "against": starts[each.against].switch_epoch,
                **points(each),
            }
            for each in apart
        ],
        "leaked": leaks.without(starts, leaked),
        "metrics": metrics(best),
        "conclusion": "",
        "photos": {"test": best.evaluation["photos"]},
    }
    document["conclusion"] = conclusion(starts, choice.start, judged)
    if found := document["leaked"]:
        document["conclusion"] += f" {leaks.sentence(found, choice.start, document['photos']['test'])}"
    return Comparison(document, choice.start, best, starts, search)


def right(answers: Evaluation | Answers) -> np.ndarray[Any, Any]:
    """Whether each photo was named right."""
    return np.equal(answers["labels"], answers["predicted"])


def result(history: History, evaluation: Evaluation, seed: int) -> Result:
    """What a training came to."""
    return {
        "switch_epoch": history["switch_epoch"] or None,
        "learning_rate": history["learning_rate"] or None,
        "seed": seed,
        "rung": None,
        "best_epoch": history["best_epoch"],
        "validation_accuracy": history["validation_accuracy"],
        "test_accuracy": evaluation["top_1"],
        "test_top_5": evaluation["top_5"],
        "test_loss": evaluation["loss"],
        "diverged": bool(history["diverged"]),
        "model_digest": history["model_digest"],
        "seconds": round(sum(history["seconds"]), 1),
    }


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def metrics(best: Training) -> dict[str, float]:
    """The best model's numbers as the Kubeflow UI lists them, for comparing runs."""
    row = best.result
    return {
        "switch epoch": row["switch_epoch"] or 0,
        "fine-tuning learning rate": row["learning_rate"] or 0.0,
        "seed": row["seed"],
        "best epoch": row["best_epoch"],
        "validation accuracy": row["validation_accuracy"],
        "top-1 accuracy": row["test_accuracy"],
        "top-5 accuracy": row["test_top_5"],
        "loss": row["test_loss"],
        "expected calibration error": best.evaluation["calibration"]["ece"],
    }
