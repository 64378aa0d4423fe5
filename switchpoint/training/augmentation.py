"""The lab's augmentation: flip, random crop, rotation; every draw a function of (seed, epoch, photo)."""

import math
from typing import Any


def draws(seed: int, epoch: Any, photos: int) -> Any:
    """Four numbers in [0, 1) for each photo of a split in one epoch: crop's top and left, flip, angle.

    All at once: drawn for one photo after the other they cost as much as decoding its JPEG.

    Args:
        seed: The run's seed.
        epoch: Scalar int64, from 1.
        photos: How many there are.

    Returns:
        float32 (photos, 4), a row for each photo by its index in the split.
    """
    import tensorflow as tf

    return tf.random.stateless_uniform([photos, 4], tf.stack([tf.constant(seed, tf.int64), epoch]))


def decode_crop(jpeg: Any, height: int, width: int, size: int, top: Any, left: Any) -> Any:
    """A square of a JPEG, without decoding the rest.

    Args:
        jpeg: Scalar string, an image of `height` × `width`.
        height: Pixels.
        width: Pixels.
        size: The square's side in pixels.
        top: Scalar float in [0, 1): where the square lies between the image's top and its lowest place.
        left: The same from the left.

    Returns:
        uint8 (size, size, 3).
    """
    import tensorflow as tf

    y = tf.cast(top * tf.cast(height - size + 1, tf.float32), tf.int32)
    x = tf.cast(left * tf.cast(width - size + 1, tf.float32), tf.int32)
    window = tf.stack([y, x, size, size])
    return tf.ensure_shape(
        tf.io.decode_and_crop_jpeg(jpeg, window, channels=3, dct_method="INTEGER_ACCURATE"), (size, size, 3)
    )


def flip_rotate(images: Any, flip: Any, turn: Any, rotation: float) -> Any:
    """Flip left to right, then rotate about the centre, in one bilinear interpolation; edges repeat.

    Compiled by XLA this costs a fifth of `ImageProjectiveTransformV3`, which finds each place anew for each colour.

    Args:
        images: float32 or uint8 (batch, height, width, 3), in [0, 255]; height and width known, 2 or more.
        flip: float32 (batch,) in [0, 1): below one half flips.
        turn: float32 (batch,) in [0, 1): the angle between -rotation and +rotation.
        rotation: Largest angle, as a fraction of a full turn.

    Returns:
        float32, the same shape.

    Source:
        keras.layers.RandomFlip and keras.layers.RandomRotation (fill_mode="nearest"), which the lab used.
    """
    import tensorflow as tf

    @tf.function(autograph=False, jit_compile=True)  # type: ignore[untyped-decorator]
    def interpolate(images: Any, flip: Any, turn: Any) -> Any:
        _, height, width, _ = images.shape
        angle = ((turn * 2 - 1) * rotation * 2 * math.pi)[:, None, None]
        mirror = tf.where(flip < 0.5, -1.0, 1.0)[:, None, None]
        right, down = tf.range(width, dtype=tf.float32), tf.range(height, dtype=tf.float32)[:, None]
        right, down = right - (width - 1) / 2, down - (height - 1) / 2  # from the centre
        # Each output pixel's place in the input.
        x = mirror * (tf.cos(angle) * right - tf.sin(angle) * down) + (width - 1) / 2
        y = tf.sin(angle) * right + tf.cos(angle) * down + (height - 1) / 2
        x, y = tf.clip_by_value(x, 0.0, width - 1.0), tf.clip_by_value(y, 0.0, height - 1.0)
        left = tf.minimum(tf.cast(x, tf.int32), width - 2)
        top = tf.minimum(tf.cast(y, tf.int32), height - 2)
        x, y = (x - tf.cast(left, tf.float32))[..., None], (y - tf.cast(top, tf.float32))[..., None]
        pixels = tf.cast(tf.reshape(images, [-1, 3]), tf.float32)
        first = (tf.range(tf.shape(images)[0])[:, None, None] * height + top) * width + left
        upper = tf.gather(pixels, first) * (1 - x) + tf.gather(pixels, first + 1) * x
        lower = tf.gather(pixels, first + width) * (1 - x) + tf.gather(pixels, first + width + 1) * x
        return upper * (1 - y) + lower * y

    return tf.ensure_shape(interpolate(images, flip, turn), images.shape)
