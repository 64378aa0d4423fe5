"""Report: histories and evaluations become an answer, a table, the lab's graphs and the best model."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from components.report import page, photos
from components.report.charts import Json
from components.report.origin import Origin
from components.report.wording import conclusion, markdown
from switchpoint.errors import RecordsError
from switchpoint.provenance.digests import file_digest
from switchpoint.provenance.metadata import embedded, entry


class Trained(NamedTuple):
    """Files of one training: its history, its model, and what evaluate wrote of it."""

    history: Path
    model: Path
    evaluation: Path
    photos: Path


class Outputs(NamedTuple):
    """Files to write.

    Attributes:
        page: HTML, one file that needs nothing else.
        photos: HTML of the photos that tell most of the best model.
        summary: Markdown: the answer and the table.
        results: JSON: the table, the best switch epoch and its numbers, the conclusion.
        model: The best model.
    """

    page: Path
    photos: Path
    summary: Path
    results: Path
    model: Path


def report(
    transfer: Trained,
    finetunes: Sequence[Trained],
    source: Path,
    pretrained: Path,
    evaluated: Mapping[str, Any],
    outputs: Outputs,
) -> dict[str, str]:
    """Compare the switch epochs and keep the best model: chosen on validation, reported on test.

    Args:
        transfer: Transfer learning alone.
        finetunes: Each fine-tuning, in any order.
        source: What prepare wrote of the dataset.
        pretrained: What transfer wrote of the pretrained weights.
        evaluated: Metadata of an evaluation, from `provenance.metadata.describe`: the step and its parameters.
        outputs: What to write.

    Returns:
        The digest of each output.

    Raises:
        RecordsError: The evaluations are not of the same photos, or not of these models.
        SwitchpointError: A model file carries no lineage.
    """
    trained = [transfer, *finetunes]
    histories, evaluations = ([_read(each) for each in files] for files in list(zip(*trained, strict=True))[::2])
    of_history, of_evaluation = ([each["switch_epoch"] for each in kind] for kind in (histories, evaluations))
    if of_history != of_evaluation or any(each["labels"] != evaluations[0]["labels"] for each in evaluations):
        raise RecordsError(
            "Only evaluations of the same test photos, each beside its own history, can be compared. Received "
            f"histories of switch epochs {of_history} and evaluations of {of_evaluation}. Run evaluate again for all."
        )
    order = sorted(range(len(trained)), key=lambda number: of_history[number])  # 0, transfer learning, comes first
    trained = [trained[number] for number in order]
    histories, evaluations = ([kind[number] for number in order] for kind in (histories, evaluations))
    rows = [
        {
            "switch_epoch": history["switch_epoch"] or None,
            "best_epoch": history["best_epoch"],
            "validation_accuracy": history["validation_accuracy"],
            "test_accuracy": evaluation["top_1"],
            "test_top_5": evaluation["top_5"],
            "test_loss": evaluation["loss"],
            "gain": gain(evaluations[0], evaluation) if history["switch_epoch"] else None,
            "diverged": bool(history["diverged"]),
            "model_digest": history["model_digest"],
            "seconds": round(sum(history["seconds"]), 1),
        }
        for history, evaluation in zip(histories, evaluations, strict=True)
    ]
    best = min(range(len(rows)), key=lambda number: preference(histories[number]))
    chosen, evaluation = rows[best], evaluations[best]
    document = {
        "results": rows,
        "best": {key: chosen[key] for key in ("switch_epoch", "model_digest")},
        "metrics": metrics(chosen, evaluation),
        "conclusion": conclusion(rows, histories, best, evaluation["photos"]),
        "photos": {"test": evaluation["photos"]},
    }
    lineages = [embedded(each.model) for each in trained]
    origin = Origin(_read(source), _read(pretrained), lineages, entry(evaluated))
    for path in outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
    write(outputs.results, json.dumps(document, indent=1, allow_nan=False))
    write(outputs.page, page.html(document, best, histories, evaluation, origin))
    telling = _read(trained[best].photos)
    write(outputs.photos, photos.page(telling, page.best_name(chosen), page.about(origin, evaluation)))
    write(outputs.summary, markdown(rows, best, evaluation["photos"]))
    shutil.copyfile(trained[best].model, part := outputs.model.with_name(outputs.model.name + ".part"))
    part.replace(outputs.model)
    written = outputs._asdict()
    return {name: file_digest(written[name]) for name in ("page", "photos", "summary", "results")} | {
        "model": chosen["model_digest"]
    }


def _read(path: Path) -> Json:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def metrics(row: Json, evaluation: Json) -> dict[str, float]:
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


def write(path: Path, text: str) -> None:
    """Write to a temporary name, then move into place."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def preference(history: Json) -> tuple[float, float, int]:
    """Smallest for the best model: validation accuracy, then the lower loss, then fewer epochs in all."""
    loss = float("inf") if history["validation_loss"] is None else history["validation_loss"]
    return -history["validation_accuracy"], loss, history["switch_epoch"] + history["best_epoch"]


def gain(baseline: Json, evaluation: Json) -> dict[str, float]:
    """Test accuracy gained over the baseline, in points, with its 95 % interval.

    Paired bootstrap over the test photos. A photo adds 1, 0 or −1 (now right, no change, now wrong), so that drawing
    photos with replacement is one multinomial draw of three counts.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13 (percentile interval)
    """
    labels, before, after = (
        np.array(each) for each in (baseline["labels"], baseline["predicted"], evaluation["predicted"])
    )
    change = (after == labels).astype(int) - (before == labels)
    shares = np.array([(change == value).mean() for value in (1, 0, -1)])
    counts = np.random.default_rng(0).multinomial(len(change), shares, size=page.DRAWS)
    low, high = np.percentile((counts[:, 0] - counts[:, 2]) / len(change) * 100, [2.5, 97.5])
    return {"points": float(change.mean() * 100), "low": float(low), "high": float(high)}
