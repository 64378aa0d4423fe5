"""What a model says of photos."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from switchpoint.command.errors import NoModelError, RunNotFoundError
from switchpoint.command.formats import BATCH, FORMATS
from switchpoint.command.paths import expanded
from switchpoint.data.photos import UnreadablePhotoError
from switchpoint.photos import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from switchpoint.command.formats import Model


class Guess(NamedTuple):
    """A class and the probability that a model gives it, in [0, 1]."""

    name: str
    probability: float


class Prediction(NamedTuple):
    """What a model says of a photo.

    Attributes:
        photo: As it was given; of a folder the path inside it follows.
        top: The likeliest classes, the likeliest first; empty where the photo can't be read.
        unreadable: Why it can't be read; else None.
    """

    photo: str
    top: list[Guess]
    unreadable: str | None = None


def predict(model: Model, photos: Sequence[str], top: int) -> Iterator[Prediction]:
    """What a model says of each photo, in their order.

    Args:
        model: From `switchpoint.command.formats.load`.
        photos: Paths.
        top: How many classes to name.
    """
    for start in range(0, len(photos), BATCH):
        batch = photos[start : start + BATCH]
        sized, unreadable = _read(model, batch)
        answers: Iterator[NDArray[np.float32]] = iter(model.answers(sized) if sized else ())
        for photo in batch:
            if photo in unreadable:
                yield Prediction(photo, [], unreadable[photo])
                continue
            probabilities = next(answers)
            order = (-probabilities).argsort(kind="stable")[:top]
            yield Prediction(photo, [Guess(model.classes[each], float(probabilities[each])) for each in order])


def _read(model: Model, photos: Sequence[str]) -> tuple[list[Any], dict[str, str]]:
    """What the model takes of those that can be read, and the reasons of those that can't."""
    sized, unreadable = [], {}
    for photo in photos:
        try:
            sized.append(model.sized(read(photo)))
        except UnreadablePhotoError as error:
            unreadable[photo] = str(error)
        except OSError as error:
            unreadable[photo] = error.strerror or str(error)
    return sized, unreadable


def model_of(given: str, runs_directory: Path) -> Path:
    """A model's file, of any format: given as such, as the folder of an export, or as a run whose best one it is.

    Raises:
        NoModelError: It is none of these.
    """
    from switchpoint.command.runs import store

    path = expanded(given)
    for inside in (path / f"model.{kind}" for kind in FORMATS):
        if inside.exists():
            return inside
    if path.is_file() or (path / "saved_model.pb").is_file():
        return path
    with contextlib.suppress(RunNotFoundError):
        document = store.find(runs_directory, given)
        if (model := document.get("model")) and (found := Path(model)).is_file():
            return found
        raise NoModelError(f"Run {document['id']} {document['state']} and has no model here. Give another run.")
    raise NoModelError(
        f"{given} is no model's file, no folder of an export, and no run in {runs_directory}. "
        "`switchpoint runs` lists the runs."
    )
