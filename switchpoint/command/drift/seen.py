"""Photos as the held-out photos of a training were seen: the same size, JPEG and crop, the same network."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from switchpoint import addresses, storage
from switchpoint.command import features, predict
from switchpoint.command.drift.study import Seen
from switchpoint.command.errors import NoModelError, NoPhotosError, RunNotFoundError
from switchpoint.command.features import made_by, transfer_model
from switchpoint.command.paths import expanded
from switchpoint.command.runs import store
from switchpoint.cores import cores
from switchpoint.data.converters import Converters
from switchpoint.data.photos import quality
from switchpoint.data.split import draw
from switchpoint.provenance.metadata import embedded
from switchpoint.training import reference as references

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from switchpoint.command.documents import Run
    from switchpoint.training.reference import Reference

    Array = np.ndarray[Any, Any]

AT_ONCE = 64  # photos


class Made(NamedTuple):
    """What transfer learning left: its model's file, and the reference."""

    model: Path
    reference: Reference


def made(given: str, runs_directory: Path) -> Made:
    """Of a run, or of the run here that made a model's file; of several seeds that of the best model.

    Raises:
        NoModelError: No run of this machine made it, or it has no reference.
    """
    document = _run(given, runs_directory)
    try:
        return Made(transfer_model(document), references.read(made_by(document, "transfer", "reference")))
    except (OSError, ValueError, KeyError) as error:
        raise NoModelError(
            f"The reference of run {document['id']} can't be read ({error}): `switchpoint rerun {document['id']}` "
            "makes one."
        ) from error


def _run(given: str, runs_directory: Path) -> Run:
    try:
        return store.find(runs_directory, given)
    except RunNotFoundError:
        if not expanded(given).exists():
            raise
    file = predict.model_of(given, runs_directory)
    if file.suffix != ".keras":
        raise NoModelError(f"{file} does not say which run made it. Give the run, or the .keras file.")
    digest = embedded(file)["model"]["digest"]
    for document in store.every(runs_directory):
        if any(result["model_digest"] == digest for result in document["results"]):
            return document
    raise NoModelError(
        f"No run in {runs_directory} made {file}, and photos are compared with what that run held out. Give --runs-dir."
    )


@contextmanager
def fetched(address: str) -> Iterator[str]:
    """A folder of this machine with the photos of an address: itself, or a copy for as long as it is needed."""
    if not addresses.is_remote(address):
        yield str(expanded(address))
        return
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory, PurePosixPath(address).name)
        storage.download(address, target)
        yield str(target)


def chosen(folder: str, most: int) -> list[str]:
    """Its photos, or of more than `most` as many, drawn by their names in it."""
    found = predict.files([folder])
    return sorted(sorted(found, key=lambda name: draw(0, os.path.relpath(name, folder)))[:most])


def see(made: Made, photos: Sequence[str]) -> tuple[Seen, dict[str, str], dict[str, bytes]]:
    """What the network makes of photos.

    Args:
        made: Which network.
        photos: Paths.

    Returns:
        Those that can be read; of the others the reason, by path; of the former the record's JPEG, by path.

    Raises:
        NoPhotosError: None can be read.
    """
    import numpy as np

    height, width, size = made.reference.sizes
    unreadable: dict[str, str] = {}
    images: dict[str, bytes] = {}
    pooled, probabilities = [], []
    network = features.network(made.model)
    with Converters((height, width)) as converters, ThreadPoolExecutor(cores()) as pool:

        def convert(photo: str) -> tuple[bytes, str]:
            try:
                data = Path(photo).read_bytes()
            except OSError as error:
                return b"", f"can't be read: {error.strerror}"
            image, _, reason = converters.convert(data, quality("validation"))
            return image, reason

        for start in range(0, len(photos), AT_ONCE):
            batch = photos[start : start + AT_ONCE]
            for photo, (image, reason) in zip(batch, pool.map(convert, batch), strict=True):
                if reason:
                    unreadable[photo] = reason
                else:
                    images[photo] = image
            if crops := _crops([images[photo] for photo in batch if photo in images], height, width, size):
                found = network.predict(np.stack(crops), verbose=0)
                pooled.append(found[0])
                probabilities.append(found[1])
    if not images:
        raise NoPhotosError(f"None of the {len(photos)} photos can be read; the first: {unreadable[photos[0]]}.")
    return Seen(list(images), np.concatenate(pooled), np.concatenate(probabilities)), unreadable, images


def _crops(images: Sequence[bytes], height: int, width: int, size: int) -> list[Array]:
    import keras

    from switchpoint.training.augmentation import decode_crop

    return [keras.ops.convert_to_numpy(decode_crop(image, height, width, size, 0.5, 0.5)) for image in images]
