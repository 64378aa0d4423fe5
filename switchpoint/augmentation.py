"""The lab's augmentation: flip, random crop, rotation; every draw a function of (seed, epoch, photo)."""

import math
from typing import Any


def draws(seed: int, epoch: Any, index: Any) -> Any:
    """Four numbers in [0, 1) for one photo in one epoch: crop's top and left, flip, angle.

    Args:
        seed: The run's seed.
        epoch: Scalar int64, from 1.
        index: Scalar int64, the photo's place in its split.

    Returns:
        float32 (4,).
    """
    import tensorflow as tf

    fold = tf.random.experimental.stateless_fold_in
    return tf.random.stateless_uniform([4], fold(fold([seed, 0], epoch), index))


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
    """Flip left to right, then rotate about the centre, as one projective transform; edges repeat.

    Args:
        images: float32 or uint8 (batch, height, width, 3), in [0, 255].
        flip: float32 (batch,) in [0, 1): below one half flips.
        turn: float32 (batch,) in [0, 1): the angle between -rotation and +rotation.
        rotation: Largest angle, as a fraction of a full turn.

    Returns:
        float32, the same shape: bilinear interpolation, nearest fill.

    Source:
        keras.layers.RandomFlip and keras.layers.RandomRotation (fill_mode="nearest"), which the lab used.
    """
    import tensorflow as tf

    _, height, width, _ = images.shape
    angle = (turn * 2 - 1) * rotation * 2 * math.pi
    cos, sin = tf.cos(angle), tf.sin(angle)
    right, bottom = float(width - 1), float(height - 1)
    shift_x = (right - (cos * right - sin * bottom)) / 2
    shift_y = (bottom - (sin * right + cos * bottom)) / 2
    mirrored = flip < 0.5
    sign = tf.where(mirrored, -1.0, 1.0)
    zero = tf.zeros_like(cos)
    transforms = tf.stack(
        # Each output pixel's place in the input: x = sign * (cos x' - sin y' + shift) (+ the width, when mirrored).
        [sign * cos, -sign * sin, tf.where(mirrored, right - shift_x, shift_x), sin, cos, shift_y, zero, zero],
        axis=1,
    )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=transforms,
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
