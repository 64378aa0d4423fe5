"""What a model says of photos."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from switchpoint.command.errors import NoModelError, NoPhotosError, RunNotFoundError
from switchpoint.data.photos import UnreadablePhotoError
from switchpoint.photos import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    import numpy as np

BATCH = 32  # photos


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


def files(given: Iterable[str]) -> list[str]:
    """Photos and the files of folders, in order; hidden ones are left out.

    Raises:
        NoPhotosError: One is not there, or a folder has no file.
    """
    found = []
    for each in given:
        path = Path(each).expanduser()
        if path.is_dir():
            inside = sorted(_visible(path))
            if not inside:
                raise NoPhotosError(f"{each} has no files. Give photos, or folders of photos.")
            found += inside
        elif path.is_file():
            found.append(str(path))
        else:
            raise NoPhotosError(f"{each} is not there. Give photos, or folders of photos.")
    return found


def _visible(folder: Path) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(place, name) for name in names if not name.startswith("."))  # noqa: PTH118


class Classifier:
    """A model that Switchpoint saved: photos of any size go in, in batches."""

    def __init__(self, path: Path) -> None:
        """Load it.

        Args:
            path: `.keras` file.

        Raises:
            NoModelError: It is not such a file.
        """
        import keras
        import tensorflow as tf

        from switchpoint.training.forward import function
        from switchpoint.training.saved_model import classifier

        try:
            model = keras.models.load_model(path, compile=False)
            self.classes: list[str] = model.get_layer("labels").get_layer("class_names").get_vocabulary()
            size = keras.Model(model.input, model.get_layer("centre_crop").output)
            network = classifier(model)
        except (OSError, ValueError, AttributeError) as error:
            raise NoModelError(
                f"{path} can't be read as a model that Switchpoint saved ({error}). Give a run, or the model.keras of "
                "one or of an export."
            ) from error
        # As a graph, which any photo fits: called as it is, a Keras model keeps uint8 where training had fractions.
        self._size = tf.function(size, input_signature=[tf.TensorSpec((1, None, None, 3), tf.uint8)])
        self._compute = function(network, BATCH)

    def predict(self, photos: Sequence[str], top: int) -> Iterator[Prediction]:
        """What it says of each photo, in their order.

        Args:
            photos: Paths.
            top: How many classes to name.
        """
        for start in range(0, len(photos), BATCH):
            batch = photos[start : start + BATCH]
            pixels, unreadable = self._read(batch)
            answers = iter(self._answers(pixels))
            for photo in batch:
                if photo in unreadable:
                    yield Prediction(photo, [], unreadable[photo])
                    continue
                probabilities = next(answers)
                order = (-probabilities).argsort(kind="stable")[:top]
                yield Prediction(photo, [Guess(self.classes[each], float(probabilities[each])) for each in order])

    def _read(self, photos: Sequence[str]) -> tuple[list[Any], dict[str, str]]:
        """Crops of the size that the network takes, and the reasons of those that can't be read."""
        crops, unreadable = [], {}
        for photo in photos:
            try:
                crops.append(self._size(read(photo)[None])[0])
            except UnreadablePhotoError as error:
                unreadable[photo] = str(error)
            except OSError as error:
                unreadable[photo] = error.strerror or str(error)
        return crops, unreadable

    def _answers(self, crops: list[Any]) -> np.ndarray[Any, Any]:
        """Probabilities (crops, classes); the batch is filled up, so that one shape is traced."""
        import tensorflow as tf

        if not crops:
            import numpy as np

            return np.empty((0, len(self.classes)), np.float32)
        filled = tf.stack(crops + crops[:1] * (BATCH - len(crops)))
        return self._compute(filled)[: len(crops)]


def model_of(given: str, runs_directory: Path) -> Path:
    """A model's file: given as such, as the folder of an export, or as a run whose best one it is.

    Raises:
        NoModelError: It is none of these.
    """
    from switchpoint.command.runs import store

    path = Path(given).expanduser()
    if path.is_dir() and (path / "model.keras").is_file():
        return path / "model.keras"
    if path.is_file():
        return path
    with contextlib.suppress(RunNotFoundError):
        document = store.find(runs_directory, given)
        if (model := document.get("model")) and (found := Path(model)).is_file():
            return found
        raise NoModelError(f"Run {document['id']} {document['state']} and has no model here. Give another run.")
    raise NoModelError(
        f"{given} is no model's file, no folder with a model.keras, and no run in {runs_directory}. "
        "`switchpoint runs` lists the runs."
    )
