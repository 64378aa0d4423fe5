"""The photos that tell most of a model: its most confident mistakes, and the hits that it was least sure of."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from switchpoint.data import photos as images
from switchpoint.data import records

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import numpy as np

    from switchpoint.documents.evaluation import TellingPhoto, TellingPhotos

EACH = 12
SIDE = 160  # pixels


def telling(
    directory: Path, classes: list[str], probabilities: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]
) -> TellingPhotos:
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

    def told(number: int) -> TellingPhoto:
        name, image = kept[number]
        answers = (labels[number], first[number], second[number])
        true, predicted, runner_up = (classes[label] for label in answers)
        chances = [round(float(probabilities[number, label]), 4) for label in answers]
        return {
            "name": name,
            "true": true,
            "predicted": predicted,
            "runner_up": runner_up,
            "true_probability": chances[0],
            "predicted_probability": chances[1],
            "runner_up_probability": chances[2],
            "jpeg": image,
        }

    return {"mistakes": [told(number) for number in mistakes], "hits": [told(number) for number in hits]}


def _thumbnail(data: bytes) -> str:
    image, out = images.decode(data), io.BytesIO()
    image.thumbnail((SIDE, SIDE))
    image.save(out, "JPEG", quality=80)
    return base64.b64encode(out.getvalue()).decode()
