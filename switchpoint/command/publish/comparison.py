"""What was exported, loaded again and asked beside the run's own model: the same class, and how far apart."""

from __future__ import annotations

import contextlib
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from switchpoint import addresses
from switchpoint.command import formats
from switchpoint.command.errors import ExportError
from switchpoint.data.photos import UnreadablePhotoError
from switchpoint.errors import DatasetError
from switchpoint.photos import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from switchpoint.command.documents import Run

PHOTOS = formats.BATCH
SIDE = 2048  # pixels of a photo's height and width that are shown: all photos are in memory at once
# Of a probability. Float32 in another order of operations moves the sharpest head by a thousandth; pixels that were
# resized in another way move it by tenths.
TOLERANCE = 0.01


class Agreement(NamedTuple):
    """How an exported model answers beside Keras'.

    Attributes:
        photos: How many both were asked.
        of: Whose they are.
        same: For how many both name the same class.
        largest: Difference of a probability, over all classes and photos.
        size: Of the exported model, in bytes.
        seconds: A photo, handed over together, resizing included.
        keras_seconds: The same of Keras'.
    """

    photos: int
    of: str
    same: int
    largest: float
    size: int
    seconds: float
    keras_seconds: float

    @property
    def said(self) -> str:
        """For a card: the same for the same model, also when it is exported again."""
        return (
            f"Asked for {self.photos} photos {self.of}, it names the class that Keras names for {self.same}, and a "
            f"probability differs by {self.largest:.1g} at most."
        )

    @property
    def cost(self) -> str:
        """On this machine, now."""
        return (
            f"It takes {self.size / 1e6:.1f} MB, and {1000 * self.seconds:.0f} ms a photo here, where Keras takes "
            f"{1000 * self.keras_seconds:.0f}."
        )


def compare(document: Run, model_file: Path, exported: Path) -> Agreement:
    """Load an exported model and ask it what Keras is asked.

    Args:
        document: The run's; its photos are taken where they lie in a folder of this machine.
        model_file: The run's `.keras` file.
        exported: What was written from it.

    Raises:
        ExportError: It answers otherwise than Keras.
        NoModelError: It can't be loaded.
    """
    photos, of = _photos(document)
    (wanted, keras_seconds), (found, seconds) = (_asked(path, photos) for path in (model_file, exported))
    files = [exported] if exported.is_file() else [path for path in exported.rglob("*") if path.is_file()]
    same = int((wanted.argmax(axis=1) == found.argmax(axis=1)).sum())
    agreement = Agreement(
        len(photos), of, same, float(abs(wanted - found).max()), sum(path.stat().st_size for path in files),
        seconds, keras_seconds,
    )  # fmt: skip
    if not agreement.largest <= TOLERANCE:  # not a number is no agreement
        raise ExportError(
            f"{exported.name} is not exported: it does not answer as the run's model. {agreement.said} "
            "Export it with --format keras."
        )
    return agreement


def _asked(path: Path, photos: list[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], float]:
    """Probabilities of all photos, and the seconds that each takes: the least of three times, the model being warm."""
    model = formats.load(path)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        found = model.answers([model.sized(photo) for photo in photos])
        seconds.append(time.perf_counter() - start)
    return found, min(seconds[1:]) / len(photos)


def _photos(document: Run) -> tuple[list[NDArray[np.uint8]], str]:
    """Photos of every class if there are not too many classes, and whose they are."""
    dataset = document["parameters"]["dataset"]
    if dataset == "sample" or (addresses.is_local(dataset, "dataset") and Path(dataset).is_dir()):
        with contextlib.suppress(DatasetError):  # its photos are no longer there
            return list(itertools.islice(_readable(dataset), PHOTOS)), "of the run's dataset"
    return list(itertools.islice(_readable("sample"), PHOTOS)), "that were drawn (the run's are in no folder here)"


def _readable(dataset: str) -> Iterator[NDArray[np.uint8]]:
    """A dataset's photos, evenly spaced, and a few more in place of those that can't be read."""
    from switchpoint.data import sources

    opened = sources.find(dataset).open()
    chosen: Iterator[Any] = itertools.islice(opened.photos(), 0, None, max(1, opened.count // (PHOTOS + 8)))
    for photo in chosen:
        with contextlib.suppress(UnreadablePhotoError, OSError):
            yield read(photo.read())[:SIDE, :SIDE].copy()
