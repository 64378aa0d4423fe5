"""What is published beside a model: its classes in order, and a card with what it does and where it came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from switchpoint.command.errors import ArtifactGoneError
from switchpoint.command.publish.use import takes, use
from switchpoint.command.runs.results import whole

if TYPE_CHECKING:
    from switchpoint.command.documents import Run
    from switchpoint.documents.records import Manifest


def classes(document: Run) -> list[str]:
    """The names of the model's outputs, in their order."""
    return list(_manifest(document)["classes"])


def _manifest(document: Run) -> Manifest:
    records = Path(_outputs(document, "prepare")["records"])
    manifest: Manifest = _read(records / "manifest.json")
    return manifest


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactGoneError(f"{path} is gone. Run the pipeline again to have it back.") from None


def _outputs(document: Run, name: str) -> dict[str, str]:
    return next(dict(step["outputs"]) for step in document["steps"] if step["name"] == name)


def card(document: Run, kind: str, compared: str) -> str:
    """The model card of a run's best model, in the form that the Hugging Face Hub and Vertex AI read too.

    Args:
        document: Of a run that succeeded.
        kind: The model's format, one of `switchpoint.command.formats.FORMATS`.
        compared: How it answers beside the run's own model, in a sentence; empty: it is that.

    Source:
        Mitchell et al., Model Cards for Model Reporting, https://arxiv.org/abs/1810.03993
    """
    parameters = document["parameters"]
    report = _read(Path(_outputs(document, "report")["results"]))
    best = next(row for row in whole(document) if row["model_digest"] == report["best"]["model_digest"])
    start = (
        "transfer learning alone"
        if best["switch_epoch"] is None
        else f"switch epoch {best['switch_epoch']} at {best['learning_rate']:g}"
    )
    manifest = _manifest(document)
    rows = "\n".join(
        f"| {'never | –' if row['switch_epoch'] is None else '{switch_epoch} | {learning_rate:g}'.format(**row)} "
        f"| {row['seed']} "
        f"| {row['best_epoch']} | {row['validation_accuracy']:.1%} | {row['test_accuracy']:.1%} "
        f"| {row['test_loss']:.3f} |{' ← this model' if row is best else ''}"
        for row in whole(document)
    )
    images = "\n".join(
        f"- {name}: `{image}`"
        for name, image in sorted({step["name"]: step["image"] for step in document["steps"]}.items())
    )
    settings = "\n".join(f"| {name} | {value} |" for name, value in parameters.items())
    said = f"\n{compared.strip()}\n" if compared else ""
    return f"""# {parameters["backbone"]}, {start}

An image classifier for {len(manifest["classes"])} classes. {takes(kind)} \
Output: a probability a class, in the order of `classes.json`.

```python
{use(kind)}```
{said}
## How good it is
{document["conclusion"]}

Fine-tuning started after different epochs of transfer learning; the model was chosen on the validation photos and \
reported on the test photos.

| fine-tuning from epoch | learning rate | seed | best epoch | validation accuracy | test accuracy | test loss |
|---|---|---|---|---|---|---|
{rows}

## Where it came from
- run: `{document["id"]}`, {document["started"]}
- code: `{document["commit"] or "unknown"}`
- dataset: `{parameters["dataset"]}`, digest `{parameters["dataset_digest"]}`
- pretrained weights: `{parameters["weights"]}`, digest `{parameters["weights_digest"]}`
- model: digest `{best["model_digest"]}`

Each step's image, whose tag is a digest of its code:

{images}

| parameter | value |
|---|---|
{settings}
"""
