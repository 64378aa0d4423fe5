"""What is published beside a model: its classes in order, and a card with what it does and where it came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from switchpoint.command.errors import ArtifactGoneError
from switchpoint.provenance.metadata import MODEL

if TYPE_CHECKING:
    from switchpoint.documents import Manifest, Run


def classes(document: Run) -> list[str]:
    """The names of the model's outputs, in their order."""
    return list(_manifest(document)["classes"])


def _manifest(document: Run) -> Manifest:
    manifest: Manifest = _read(Path(_outputs(document, "prepare")["records"], "manifest.json"))
    return manifest


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactGoneError(f"{path} is gone. Run the pipeline again to have it back.") from None


def _outputs(document: Run, name: str) -> dict[str, str]:
    return next(dict(step["outputs"]) for step in document["steps"] if step["name"] == name)


def card(document: Run, file: str = MODEL) -> str:
    """The model card of a run's best model, in the form that the Hugging Face Hub and Vertex AI read too.

    Args:
        document: Of a run that succeeded.
        file: The model's file beside the card.

    Source:
        Mitchell et al., Model Cards for Model Reporting, https://arxiv.org/abs/1810.03993
    """
    parameters, results = document["parameters"], document["results"]
    chosen = _read(Path(_outputs(document, "report")["results"]))["best"]["switch_epoch"]
    best = next(row for row in results if row["switch_epoch"] == chosen)
    start = "transfer learning alone" if best["switch_epoch"] is None else f"switch epoch {best['switch_epoch']}"
    manifest = _manifest(document)
    rows = "\n".join(
        f"| {'never' if row['switch_epoch'] is None else row['switch_epoch']} | {row['best_epoch']} "
        f"| {row['validation_accuracy']:.1%} | {row['test_accuracy']:.1%} | {row['test_loss']:.3f} |"
        f"{' ← this model' if row is best else ''}"
        for row in results
    )
    images = "\n".join(
        f"- {name}: `{image}`"
        for name, image in sorted({step["name"]: step["image"] for step in document["steps"]}.items())
    )
    settings = "\n".join(f"| {name} | {value} |" for name, value in parameters.items())
    return f"""# {parameters["backbone"]}, {start}

An image classifier for {len(manifest["classes"])} classes. Input: RGB photos of any size, values from 0 to 255. \
Output: a probability a class, in the order of `classes.json`.

```python
import json
import keras, numpy
from PIL import Image

if TYPE_CHECKING:
    from switchpoint.documents import Manifest, Run

model = keras.models.load_model("{file}", compile=False)
photo = numpy.asarray(Image.open("photo.jpg").convert("RGB"))
probabilities = model.predict(photo[None])[0]
print(json.load(open("classes.json"))[probabilities.argmax()])
```

## How good it is
{document["conclusion"]}

Fine-tuning started after different epochs of transfer learning; the model was chosen on the validation photos and \
reported on the test photos.

| fine-tuning from epoch | best epoch | validation accuracy | test accuracy | test loss |
|---|---|---|---|---|
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
