"""Where pixels come from: the lab's way, ours, and what lies between, each a single change away from another.

All of them give a photo at the size that training crops from; crops, flips and rotations are drawn elsewhere.
"""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from switchpoint.data import photos

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

Pixels = np.ndarray[Any, Any]

LAB, OURS = "lab", "records"


class Source(NamedTuple):
    """One way to a photo's pixels.

    Attributes:
        pixels: Of a file's bytes, a height and a width: uint8 or float32 (height, width, 3) in [0, 255].
        keras_rotation: Turned by the operation of Keras' layer, and not by ours.
    """

    pixels: Callable[[bytes, int, int], Pixels]
    keras_rotation: bool = False


class Change(NamedTuple):
    """Two sources that are compared: `source` has what `words` say, `against` has not."""

    source: str
    against: str
    words: str


def lab(data: bytes, height: int, width: int, dct: str = "", antialias: bool = False) -> Pixels:
    """As bench/lab.py: TensorFlow's decoder with its default, which is the fast DCT, and its resize, not rounded."""
    import tensorflow as tf

    image = tf.io.decode_jpeg(data, channels=3, dct_method=dct)
    resized: Pixels = tf.image.resize(image, (height, width), antialias=antialias).numpy()
    return resized


def resized(data: bytes, height: int, width: int) -> Image:
    """As prepare decodes and resizes."""
    return photos.resize(photos.decode(data), height, width)


def rounded(data: bytes, height: int, width: int) -> Pixels:
    """What prepare makes a JPEG of."""
    return np.asarray(resized(data, height, width))


def jpeg(
    quality: int, data: bytes, height: int, width: int, subsampling: int = 0, dct: str = "INTEGER_ACCURATE"
) -> Pixels:
    """What is read of a record of this quality; subsampling 0 keeps all of the colours' resolution, 2 half each way."""
    import tensorflow as tf

    out = io.BytesIO()
    resized(data, height, width).save(out, "JPEG", quality=quality, subsampling=subsampling)
    decoded: Pixels = tf.io.decode_jpeg(out.getvalue(), channels=3, dct_method=dct).numpy()
    return decoded


QUALITY = photos.quality("train")

SOURCES = {
    LAB: Source(lab),
    OURS: Source(partial(jpeg, QUALITY)),
    "integer": Source(partial(lab, dct="INTEGER_ACCURATE")),
    "rounded": Source(rounded),
    "q100": Source(partial(jpeg, 100)),
    "q97": Source(partial(jpeg, 97)),
    "q95": Source(partial(jpeg, 95)),
    "halved colours": Source(partial(jpeg, QUALITY, subsampling=2)),
    "fast": Source(partial(jpeg, QUALITY, dct="INTEGER_FAST")),
    "antialias": Source(partial(lab, antialias=True)),
    "keras": Source(lab, keras_rotation=True),
}

CHANGES = (
    Change(OURS, LAB, f"our training records for the lab's pixels: all that follows up to quality {QUALITY}"),
    Change("integer", LAB, "originals decoded with the accurate DCT"),
    Change("rounded", "integer", "decoded by Pillow, resized levels rounded"),
    Change("q100", "rounded", "a JPEG of quality 100"),
    Change("q97", "rounded", "a JPEG of quality 97 (test records)"),
    Change("q95", "rounded", "a JPEG of quality 95"),
    Change(OURS, "rounded", f"a JPEG of quality {QUALITY} (training records)"),
    Change("halved colours", OURS, f"quality {QUALITY} with half the colour resolution (4:2:0)"),
    Change("fast", OURS, "records decoded with the fast DCT"),
    Change("antialias", LAB, "resized with antialias"),
    Change("keras", LAB, "turned by Keras' operation"),
)
