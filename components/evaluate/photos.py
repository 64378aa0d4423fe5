"""The photos that tell most of a model: its most confident mistakes, and the hits that it was least sure of."""

import base64
import io
from pathlib import Path
from typing import Any

from switchpoint.data import photos as images
from switchpoint.data import records

EACH = 12
SIDE = 160  # pixels


def telling(directory: Path, classes: list[str], probabilities: Any, labels: Any) -> dict[str, list[dict[str, Any]]]:
    """Choose them, and make them small.

    Args:
        directory: Records that prepare wrote.
        classes: Names, in the order of the labels.
        probabilities: Of each test photo, in the records' order: float (photos, classes).
        labels: int (photos,).

    Returns:
        `mistakes` and `hits`, each `EACH` at most: name, true class and its probability, the class predicted and its
        probability, the runner-up and its probability, and a JPEG in base64.
    """
    import numpy as np

    order = np.argsort(-probabilities, axis=1, kind="stable")
    first, second = order[:, 0], order[:, 1]
    confidence = probabilities[np.arange(len(labels)), first]
    ranked = np.argsort(confidence, kind="stable")
    mistakes = [int(number) for number in ranked[::-1] if first[number] != labels[number]][:EACH]
    hits = [int(number) for number in ranked if first[number] == labels[number]][:EACH]
    chosen = {*mistakes, *hits}
    kept = {
        number: (example["name"].numpy().decode("utf-8", "replace"), _thumbnail(example["image"].numpy()))
        for number, example in enumerate(records.dataset(directory, "test"))
        if number in chosen
    }

    def told(number: int) -> dict[str, Any]:
        name, image = kept[number]
        answers = {"true": labels[number], "predicted": first[number], "runner_up": second[number]}
        return {
            "name": name,
            **{kind: classes[label] for kind, label in answers.items()},
            **{f"{kind}_probability": round(float(probabilities[number, label]), 4) for kind, label in answers.items()},
            "jpeg": image,
        }

    return {"mistakes": [told(number) for number in mistakes], "hits": [told(number) for number in hits]}


def _thumbnail(data: bytes) -> str:
    image, out = images.decode(data), io.BytesIO()
    image.thumbnail((SIDE, SIDE))
    image.save(out, "JPEG", quality=80)
    return base64.b64encode(out.getvalue()).decode()
