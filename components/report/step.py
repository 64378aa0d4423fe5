"""Report: histories and evaluations become an answer, a table, the lab's graphs and the best model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from components.report import page
from components.report.columns import Comparison
from components.report.inference import Difference, differences
from components.report.origin import Origin
from components.report.wording import ahead, behind, conclusion, start
from switchpoint.config import Config
from switchpoint.errors import RecordsError, again
from switchpoint.files import copy, write_json, write_text
from switchpoint.provenance.digests import file_digest, json_digest
from switchpoint.provenance.metadata import embedded, measured

if TYPE_CHECKING:
    from switchpoint.documents import Against, Answers, Evaluation, Gain, History, Result, Results, Verdict


class Trained(NamedTuple):
    """Files of one training: its history, its model, and what evaluate wrote of it.

    Attributes:
        digests: Of history and model, from their artifacts' metadata: a file can be edited, and its digest with it.
        metrics: The evaluation's artifact's metadata.
    """

    history: Path
    model: Path
    evaluation: Path
    digests: tuple[str, str]
    metrics: Mapping[str, Any]


class Outputs(NamedTuple):
    """Files to write.

    Attributes:
        page: HTML, one file that needs nothing else.
        results: JSON: the table, the best switch epoch and its numbers, the conclusion.
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
    transfer: Trained,
    finetunes: Sequence[Trained],
    source: Path,
    pretrained: Path,
    outputs: Outputs,
    config: ReportConfig,
) -> dict[str, str]:
    """Compare the switch epochs and keep the best model: chosen on validation, reported on test.

    Args:
        transfer: Transfer learning alone.
        finetunes: Each fine-tuning, in any order.
        source: What prepare wrote of the dataset.
        pretrained: What transfer wrote of the pretrained weights.
        outputs: What to write.
        config: What a reader is told of the parameters.

    Returns:
        The digest of each output.

    Raises:
        RecordsError: The evaluations are not of the same photos, or not of these models, or a file is not what a step
            wrote.
        LineageError: A model file carries no lineage.
    """
    trained, compared = compare([transfer, *finetunes])
    lineages = [embedded(each.model) for each in trained]
    evaluated = compared.evaluations[0]["lineage"]
    origin = Origin(_read(source), _read(pretrained), lineages, evaluated, config.meanings)
    write_json(outputs.results, compared.document)
    write_text(outputs.page, page.html(compared, origin))
    copy(trained[compared.best].model, outputs.model)
    return {
        "page": file_digest(outputs.page),
        "results": file_digest(outputs.results),
        "model": compared.document["best"]["model_digest"],
    }


def compare(trained: Sequence[Trained]) -> tuple[list[Trained], Comparison]:
    """Put trainings in their order, transfer learning first, and make a result of each.

    Raises:
        RecordsError: The evaluations are not of the same photos, or not of these models, or a file is not what a step
            wrote.
        LineageError: A model file carries no lineage.
    """
    histories: list[History] = [_read(each.history) for each in trained]
    evaluations: list[Evaluation] = [_read(each.evaluation) for each in trained]
    of_history = [each["switch_epoch"] for each in histories]
    of_evaluation = [each["switch_epoch"] for each in evaluations]
    labels = [(each["labels"], each["validation"]["labels"]) for each in evaluations]
    if of_history != of_evaluation or any(each != labels[0] for each in labels):
        raise RecordsError(
            "Only evaluations of the same test photos and the same validation photos, each beside its own history, can "
            f"be compared. Received histories of switch epochs {of_history} and evaluations of {of_evaluation}. "
            + again("evaluate")
        )
    for files, history, evaluation in zip(trained, histories, evaluations, strict=True):
        check_whole(files, history, evaluation)
    order = sorted(range(len(trained)), key=lambda number: of_history[number])
    histories, evaluations = [histories[number] for number in order], [evaluations[number] for number in order]
    apart = differences(np.array([right(each) for each in evaluations])[:, None]) if len(evaluations) > 1 else []
    gains = [None, *(points(each) for each in apart if not each.against)]
    rows = list(map(result, histories, evaluations, gains))
    ranked = sorted(range(len(rows)), key=lambda number: preference(histories[number]))
    best, judged = ranked[0], verdict(rows, ranked, evaluations)
    document: Results = {
        "results": rows,
        "best": {"switch_epoch": rows[best]["switch_epoch"], "model_digest": rows[best]["model_digest"]},
        "verdict": judged,
        "differences": [
            {"start": rows[each.start]["switch_epoch"], "against": rows[each.against]["switch_epoch"], **points(each)}
            for each in apart
        ],
        "metrics": metrics(rows[best], evaluations[best]),
        "conclusion": conclusion(rows, histories, best, evaluations[best]["photos"], judged),
        "photos": {"test": evaluations[best]["photos"]},
    }
    return [trained[number] for number in order], Comparison(document, best, histories, evaluations)


def check_whole(files: Trained, history: History, evaluation: Evaluation) -> None:
    """Check that history, evaluation and model file are of one model, and each is what its step wrote.

    Raises:
        RecordsError: They are not; it says which is of which model.
        LineageError: The model file carries no lineage.
    """
    trained_by = "finetune" if history["switch_epoch"] else "transfer"
    carried = embedded(files.model)["model"]
    said = {
        "history": (history["switch_epoch"], history["model_digest"]),
        "evaluation": (evaluation["switch_epoch"], evaluation["model_digest"]),
        "model file": (carried["parameters"].get("switch_epoch", 0), str(carried["digest"])),
    }
    named = ", ".join(
        f"the {what} is of {start(switch_epoch or None)} (model {digest[:16]})"
        for what, (switch_epoch, digest) in said.items()
    )
    if len(set(said.values())) > 1:
        step = "evaluate" if said["history"] == said["model file"] else trained_by
        raise RecordsError(f"The files of a training don't belong together: {named}. {again(step)}")
    if (found := file_digest(files.model)) != (expected := evaluation["model_file"]):
        raise RecordsError(
            f"{files.model} is not the file that belongs to the evaluation: its SHA-256 is {found[:16]}, not "
            f"{expected[:16]}, though {named}. {again(trained_by)}"
        )
    wrote: tuple[tuple[Path, str | None, str | None, str], ...] = (
        (files.history, json_digest(history, "seconds"), files.digests[0], trained_by),
        (files.model, carried["digest"], files.digests[1], trained_by),
        (files.evaluation, json_digest(evaluation, "digest", "lineage"), evaluation.get("digest"), "evaluate"),
    )
    for path, digest, of_artifact, step in wrote:
        if digest != of_artifact:
            raise RecordsError(f"{path} is not what {step} wrote: its digest is not its artifact's. {again(step)}")
    if any(not math.isclose(value, files.metrics.get(name, math.nan)) for name, value in measured(evaluation).items()):
        raise RecordsError(
            f"{files.evaluation} is not what evaluate wrote: its numbers are not its artifact's. {again('evaluate')}"
        )
    right = [label == answer for label, answer in zip(evaluation["labels"], evaluation["predicted"], strict=True)]
    if not math.isclose(evaluation["top_1"], sum(right) / len(right)):
        raise RecordsError(
            f"{files.evaluation} says that top_1 is {evaluation['top_1']}, and names {sum(right)} of {len(right)} "
            f"photos right. {again('evaluate')}"
        )


def right(answers: Evaluation | Answers) -> np.ndarray[Any, Any]:
    """Whether each photo was named right."""
    return np.equal(answers["labels"], answers["predicted"])


def points(difference: Difference) -> Gain:
    """A difference with its interval, in points."""
    share, low, high = (100 * each for each in (difference.share, difference.low, difference.high))
    return {"points": share, "low": low, "high": high}


def result(history: History, evaluation: Evaluation, gain: Gain | None) -> Result:
    """What a start came to; `gain` is against transfer learning alone."""
    return {
        "switch_epoch": history["switch_epoch"] or None,
        "best_epoch": history["best_epoch"],
        "validation_accuracy": history["validation_accuracy"],
        "test_accuracy": evaluation["top_1"],
        "test_top_5": evaluation["top_5"],
        "test_loss": evaluation["loss"],
        "gain": gain,
        "diverged": bool(history["diverged"]),
        "model_digest": history["model_digest"],
        "seconds": round(sum(history["seconds"]), 1),
    }


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def metrics(row: Result, evaluation: Evaluation) -> dict[str, float]:
    """The best model's numbers as the Kubeflow UI lists them, for comparing runs."""
    numbers = {
        "switch epoch": row["switch_epoch"] or 0,
        "best epoch": row["best_epoch"],
        "validation accuracy": row["validation_accuracy"],
        "top-1 accuracy": row["test_accuracy"],
        "top-5 accuracy": row["test_top_5"],
        "loss": row["test_loss"],
        "expected calibration error": evaluation["calibration"]["ece"],
    }
    return {name: value for name, value in numbers.items() if value is not None}


def preference(history: History) -> tuple[float, float, int]:
    """Smallest for the best model: validation accuracy, then the lower loss, then fewer epochs in all."""
    epochs = history["switch_epoch"] + history["best_epoch"]
    loss = math.inf if history["validation_loss"] is None else history["validation_loss"]
    return -history["validation_accuracy"], loss, epochs


def verdict(rows: Sequence[Result], ranked: Sequence[int], evaluations: Sequence[Evaluation]) -> Verdict:
    """What the choice is worth: the chosen start against the runner-up and against transfer learning alone.

    Args:
        rows: Transfer learning alone first.
        ranked: Their numbers, the chosen one first, then the runner-up.
        evaluations: An evaluation for each row.
    """
    best = ranked[0]
    pairs = [(best, number) for number in sorted({*ranked[1:2], 0} - {best}, key=ranked.index)]
    answers = np.array([right(each["validation"]) for each in evaluations])
    against: list[Against] = []
    for each in differences(answers[:, None], pairs) if pairs else []:
        found = points(each)
        against.append({**found, "switch_epoch": rows[each.against]["switch_epoch"], "told_apart": ahead(found)})
    gained = rows[best]["gain"]
    return {
        "told_apart": bool(against) and all(each["told_apart"] for each in against),
        "against": against,
        "photos": answers.shape[1],
        "worse_on_test": gained is not None and behind(gained),
    }
