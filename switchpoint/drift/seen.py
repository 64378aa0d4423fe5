"""Photos as the held-out photos of a training were seen: the same size, JPEG and crop, the same network."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from switchpoint import addresses, storage
from switchpoint.cores import cores
from switchpoint.data.converters import Converters
from switchpoint.data.photos import quality
from switchpoint.data.split import draw
from switchpoint.drift.study import Seen
from switchpoint.errors import NoPhotosError
from switchpoint.photos import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np

    from switchpoint.training.reference import Reference

    Array = np.ndarray[Any, Any]

AT_ONCE = 64  # photos


class Made(NamedTuple):
    """What transfer learning left: its model's file, and the reference."""

    model: Path
    reference: Reference


def network(file: Path) -> Any:
    """Transfer learning's model, asked for more: crops to pooled features and probabilities.

    Args:
        file: Its `.keras` file: the backbone in it is as it was trained on ImageNet.

    Returns:
        Keras model of uint8 (batch, size, size, 3) to float32 (batch, channels) and (batch, classes).
    """
    import keras

    model = keras.models.load_model(file)
    backbone, head = model.get_layer("backbone"), model.get_layer("head")
    crops = keras.Input(backbone.input.shape[1:])
    pooled = head.get_layer("pool")(backbone(crops, training=False))
    return keras.Model(crops, [pooled, head.get_layer("classes")(pooled)])


@contextmanager
def fetched(address: str, most: int) -> Iterator[dict[str, str]]:
    """The photos at an address, or of more than `most` as many, drawn by their names.

    Of a bucket these alone are copied here, for as long as they are needed.

    Args:
        address: A folder of this machine, gs://… or s3://…
        most: How many.

    Yields:
        Paths here, by the photos' names at the address.

    Raises:
        NoPhotosError: The folder is not there, or there is no photo in it.
        StorageError: The bucket can't be read or holds nothing there, or a photo was replaced or deleted meanwhile.
    """
    if not addresses.is_remote(address):
        inside = {os.path.relpath(path, address): path for path in files([address])}
        yield {name: inside[name] for name in _drawn(inside, most)}
        return

    def drawn(names: Sequence[str]) -> list[str]:
        # Hidden, or a name that no file has: what else lies there is compared all the same.
        found = _drawn([name for name in names if all(part and part[0] != "." for part in name.split("/"))], most)
        if not found:
            raise NoPhotosError(f"{address} has no photos.")
        return found

    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory, "photos")
        storage.download(address, target, chosen=drawn)
        yield {os.path.relpath(path, target): path for path in files([str(target)])}


def _drawn(names: Iterable[str], most: int) -> list[str]:
    return sorted(sorted(names, key=lambda name: draw(0, name))[:most])


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
    model = network(made.model)
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
                found = model.predict(np.stack(crops), verbose=0)
                pooled.append(found[0])
                probabilities.append(found[1])
    if not images:
        raise NoPhotosError(f"None of the {len(photos)} photos can be read; the first: {unreadable[photos[0]]}.")
    return Seen(list(images), np.concatenate(pooled), np.concatenate(probabilities)), unreadable, images


def _crops(images: Sequence[bytes], height: int, width: int, size: int) -> list[Array]:
    import keras

    from switchpoint.training.augmentation import decode_crop

    return [keras.ops.convert_to_numpy(decode_crop(image, height, width, size, 0.5, 0.5)) for image in images]
