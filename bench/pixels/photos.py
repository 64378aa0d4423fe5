"""The photos of all splits from one source of pixels, and what the frozen network makes of views of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.prepared import LAB, SPLITS

if TYPE_CHECKING:
    from pathlib import Path

    from bench.pixels.sources import Pixels, Source

AT_ONCE = 64  # photos


class Split(NamedTuple):
    """A split in the records' order: original bytes, and labels (photos,)."""

    files: list[bytes]
    labels: np.ndarray[Any, Any]


class Sizes(NamedTuple):
    """Pixels: what training crops from, and the crop's side."""

    height: int
    width: int
    crop: int


def originals(photos: Path, records: Path) -> tuple[dict[str, Split], Sizes]:
    """The files that records were made of, by split, and the sizes that prepare decided on."""
    from switchpoint.data.manifest import read_manifest
    from switchpoint.data.records import dataset
    from switchpoint.data.sources import open_source

    about = read_manifest(records)
    read = {photo.name: photo.read for photo in open_source(str(photos))}
    splits = {}
    for split in SPLITS:
        rows = list(dataset(records, split).as_numpy_iterator())
        splits[split] = Split([read[row["name"].decode()]() for row in rows], np.array([row["label"] for row in rows]))
    return splits, Sizes(about["image_height"], about["image_width"], about["image_size"])


def pixels(source: Source, split: Split, sizes: Sizes) -> Pixels:
    """All photos of a split: (photos, height, width, 3)."""
    with ThreadPoolExecutor(2) as pool:
        return np.stack(list(pool.map(lambda data: source.pixels(data, sizes.height, sizes.width), split.files)))


class Network:
    """EfficientNet-Lite0 with ImageNet's weights, frozen, and pooling: photos to features (photos, 1280)."""

    def __init__(self, crop: int) -> None:
        import keras

        from switchpoint.training.backbones.blocks import freeze
        from switchpoint.training.backbones.build import build
        from switchpoint.training.backbones.table import LITE0

        self.backbone = build(LITE0, "imagenet", crop)
        freeze(self.backbone)
        self.pooled = keras.Model(self.backbone.input, keras.layers.GlobalAveragePooling2D()(self.backbone.output))
        self.crop = crop
        self._functions = {keras_rotation: self._traced(keras_rotation) for keras_rotation in (False, True)}

    def _traced(self, keras_rotation: bool) -> Any:
        import tensorflow as tf

        from switchpoint.training.augmentation import flip_rotate

        turn = flip_rotate_as_keras if keras_rotation else flip_rotate
        images = tf.TensorSpec((AT_ONCE, self.crop, self.crop, 3), tf.float32)
        number = tf.TensorSpec((AT_ONCE,), tf.float32)

        def run(images: Any, flip: Any, angle: Any) -> Any:
            return self.pooled(turn(images, flip, angle, LAB["rotation"]), training=False)

        return tf.function(run, input_signature=(images, number, number))

    def view(self, whole: Pixels, draws: Pixels, keras_rotation: bool) -> Pixels:
        """What one epoch shows of each photo, as features.

        Args:
            whole: (photos, height, width, 3).
            draws: (photos, 4), of `augmentation.draws`: the same for every source.
            keras_rotation: See `Source`.
        """
        height, width = whole.shape[1:3]
        room = np.array([height - self.crop + 1, width - self.crop + 1], np.float32)
        corners = (draws[:, :2] * room).astype(int)  # as `decode_crop` does it
        crops = (image[y : y + self.crop, x : x + self.crop] for image, (y, x) in zip(whole, corners, strict=True))
        return self._features(np.stack(list(crops)), draws[:, 2], draws[:, 3], keras_rotation)

    def centre(self, whole: Pixels) -> Pixels:
        """What evaluation sees of each photo, as features."""
        top, left = ((side - self.crop + 1) // 2 for side in whole.shape[1:3])
        crops = whole[:, top : top + self.crop, left : left + self.crop]
        unturned = np.full(len(whole), 0.5, np.float32)  # no flip, and halfway between the angles: 0
        return self._features(crops, unturned, unturned, keras_rotation=False)

    def _features(self, crops: Pixels, flip: Pixels, angle: Pixels, keras_rotation: bool) -> Pixels:
        found = []
        for start in range(0, len(crops), AT_ONCE):
            parts = [each[start : start + AT_ONCE].astype(np.float32) for each in (crops, flip, angle)]
            missing = AT_ONCE - len(parts[0])  # the last ones are filled up: one shape to trace
            parts = [np.pad(part, [(0, missing)] + [(0, 0)] * (part.ndim - 1)) for part in parts]
            found.append(self._functions[keras_rotation](*parts).numpy()[: AT_ONCE - missing])
        return np.concatenate(found)


def flip_rotate_as_keras(images: Any, flip: Any, turn: Any, rotation: float) -> Any:
    """`augmentation.flip_rotate` with the operation that keras.layers.RandomRotation calls, of the same draws."""
    import keras
    import tensorflow as tf

    _, height, width, _ = images.shape
    angle = (turn * 2 - 1) * rotation * 2 * np.pi
    cos, sin, zero = tf.cos(angle), tf.sin(angle), tf.zeros_like(angle)
    x, y = (width - 1) / 2, (height - 1) / 2
    rows = [cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos, zero, zero]
    flipped = tf.where((flip < 0.5)[:, None, None, None], tf.reverse(images, [2]), images)
    return keras.ops.image.affine_transform(flipped, tf.stack(rows, axis=1), "bilinear", "nearest")
