"""New photos to compare with a run's held-out ones: drawn dishes, and a run of a small network that was trained."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from switchpoint.command.runs import store
from switchpoint.data.sources import dishes
from tests.components.trainings import VALUES, prepared, train
from tests.shallow import shallow

KNOWN = list(dishes.DISHES)[:3]


def draw(folder: Path, names: list[str], numbers: range, brightness: float = 1.0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for dish in names:
        for number in numbers:
            data = dishes.photograph(f"{dish}/train-{number:03d}.jpg")
            photo = Image.open(io.BytesIO(data)).convert("RGB").point(lambda level: int(level * brightness))
            photo.save(folder / f"{dish} {number}.jpg", quality=95)
    return folder


def trained(place: Path) -> Path:
    """The runs' directory of one run, which ended after transfer learning; 36 of its photos were held out."""
    for dish in KNOWN:
        draw(place / "photos" / "train" / dish, [dish], range(24))
        draw(place / "photos" / "validation" / dish, [dish], range(24, 36))
        draw(place / "photos" / "test" / dish, [dish], range(36, 38))
    prepared(place, place / "photos")
    document = store.create(place / "runs", VALUES, "subprocess")
    made = place / "runs" / "artifacts" / document["id"] / "transfer"
    with shallow():
        train(place / "records", made)
    outputs = {"model": str(made / "model"), "reference": str(made / "reference")}
    step: Any = {"name": "transfer", "seed": 1, "state": "ran", "outputs": outputs}
    store.write(place / "runs", {**document, "state": "succeeded", "steps": [step]})
    return place / "runs"
