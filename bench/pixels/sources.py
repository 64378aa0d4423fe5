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


def record(data: bytes, height: int, width: int, dct: str = "INTEGER_ACCURATE") -> Pixels:
    """What training reads of our records."""
    return _decoded(photos.encode(resized(data, height, width)), dct)


def jpeg(quality: int, subsampling: int, data: bytes, height: int, width: int) -> Pixels:
    """A record of another quality, and 0: of full colour resolution, 2: of half of it each way."""
    out = io.BytesIO()
    resized(data, height, width).save(out, "JPEG", quality=quality, subsampling=subsampling)
    return _decoded(out.getvalue(), "INTEGER_ACCURATE")


def _decoded(data: bytes, dct: str) -> Pixels:
    import tensorflow as tf

    decoded: Pixels = tf.io.decode_jpeg(data, channels=3, dct_method=dct).numpy()
    return decoded


SOURCES = {
    LAB: Source(lab),
    OURS: Source(record),
    "integer": Source(partial(lab, dct="INTEGER_ACCURATE")),
    "rounded": Source(rounded),
    "q100": Source(partial(jpeg, 100, 0)),
    "q95": Source(partial(jpeg, 95, 0)),
    "halved colours": Source(partial(jpeg, 92, 2)),
    "fast": Source(partial(record, dct="INTEGER_FAST")),
    "antialias": Source(partial(lab, antialias=True)),
    "keras": Source(lab, keras_rotation=True),
}

CHANGES = (
    Change(OURS, LAB, "our records for the lab's pixels: all that follows up to quality 92"),
    Change("integer", LAB, "originals decoded with the accurate DCT"),
    Change("rounded", "integer", "decoded by Pillow, resized levels rounded"),
    Change("q100", "rounded", "a JPEG of quality 100"),
    Change("q95", "rounded", "a JPEG of quality 95"),
    Change(OURS, "rounded", "a JPEG of quality 92 (what records hold)"),
    Change("halved colours", OURS, "quality 92 with half the colour resolution (4:2:0)"),
    Change("fast", OURS, "records decoded with the fast DCT"),
    Change("antialias", LAB, "resized with antialias"),
    Change("keras", LAB, "turned by Keras' operation"),
)
