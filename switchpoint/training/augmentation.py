"""Augmentation: random views of a photo, flipped and rotated; every draw a function of (seed, epoch, photo)."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from switchpoint.errors import ParameterError

# Of `light` and `strong`. Of 300 × 260 pixels they see 54 % in the mean, where validation sees 224², 64 %. Brightness
# is that of Inception's training, contrast and saturation change less than there.
AREA = (0.3, 1.0)
ASPECT = (3 / 4, 4 / 3)
BRIGHTNESS = 32 / 255
CONTRAST = SATURATION = (0.8, 1.2)


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


def views(kind: str, height: int, width: int, size: int) -> Callable[[Any, Any, Any, Any], Any]:
    """How training sees a photo, before flip and rotation.

    Args:
        kind: `lab`: a square at a random place; `light`: a random part blown up, mild colours; `strong`: such a part,
            RandAugment.
        height: Of the JPEGs, in pixels.
        width: The same.
        size: Of what is seen, in pixels.

    Returns:
        Function of a JPEG, a scalar string; top and left as `decode_crop` takes them (`lab`'s draws); and a seed, int64
        (2,) (the others' draws): uint8 (size, size, 3).

    Raises:
        ParameterError: Another kind.
    """
    if kind == "lab":
        return lambda jpeg, top, left, seed: decode_crop(jpeg, height, width, size, top, left)
    if kind not in ("light", "strong"):
        raise ParameterError(f"augmentation must be lab, light or strong. Received: {kind!r}.")
    change = recolour if kind == "light" else rand_augment()
    return lambda jpeg, top, left, seed: change(resized_crop(jpeg, height, width, size, seed), seed)


def resized_crop(jpeg: Any, height: int, width: int, size: int, seed: Any) -> Any:
    """A random part of a JPEG, as large a share of it as `AREA` says, its sides' ratio in `ASPECT`, as a square.

    Args:
        jpeg: Scalar string, an image of `height` × `width`.
        height: Pixels.
        width: Pixels.
        size: The square's side in pixels.
        seed: int64 (2,).

    Returns:
        uint8 (size, size, 3).

    Source:
        Szegedy et al. 2015, Going Deeper with Convolutions.
    """
    import tensorflow as tf

    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        [height, width, 3],
        tf.zeros([1, 0, 4]),
        seed,
        aspect_ratio_range=ASPECT,
        area_range=AREA,
        use_image_if_no_bounding_boxes=True,
    )
    window = tf.concat([begin[:2], extent[:2]], axis=0)
    part = tf.io.decode_and_crop_jpeg(jpeg, window, channels=3, dct_method="INTEGER_ACCURATE")
    return _to_uint8(tf.image.resize(part, (size, size)))


def recolour(image: Any, seed: Any) -> Any:
    """Brightness, contrast and saturation, each changed a little.

    Args:
        image: uint8 (height, width, 3).
        seed: int64 (2,).

    Returns:
        uint8, the same shape.
    """
    import tensorflow as tf

    brightness, contrast, saturation = tf.unstack(tf.random.split(seed, 3))
    image = tf.image.stateless_random_brightness(image, BRIGHTNESS, brightness)
    image = tf.image.stateless_random_contrast(image, *CONTRAST, contrast)
    return tf.image.stateless_random_saturation(image, *SATURATION, saturation)


def rand_augment() -> Callable[[Any, Any], Any]:
    """Keras' RandAugment as it is by default, drawn for each photo by its seed: Keras draws from a state that changes.

    Its strength is Keras' 0.5 because less is not milder: posterization would keep fewer levels, solarization invert
    more.

    Returns:
        Function of a photo, uint8 (height, width, 3), and a seed, int64 (2,): uint8, the same shape.

    Source:
        keras.layers.RandAugment; Cubuk et al. 2019, RandAugment: Practical automated data augmentation with a reduced
        search space.
    """
    import keras
    import tensorflow as tf

    class Draws(keras.random.SeedGenerator):  # type: ignore[misc]
        """The seeds that follow from one, in the order in which they are asked for."""

        def __init__(self, seed: Any) -> None:
            self.seed, self.drawn = seed, 0

        def next(self, ordered: bool = True) -> Any:
            self.drawn += 1
            return tf.random.fold_in(self.seed, tf.constant(self.drawn, tf.int64))

    layer = keras.layers.RandAugment((0, 255), seed=0, dtype="float32")

    def change(image: Any, seed: Any) -> Any:
        photos = tf.cast(image, tf.float32)[None]
        layer.generator = Draws(seed)
        drawn = layer.get_random_transformation(photos)
        for chosen in tf.unstack(drawn["layer_idxes"]):
            # The layer computes all operations and takes one of each.
            operations = [
                partial(getattr(layer, name).transform_images, photos, how) for name, how in drawn["transforms"].items()
            ]
            photos = tf.ensure_shape(tf.switch_case(chosen, operations), photos.shape)
        return _to_uint8(photos[0])

    return change


def _to_uint8(image: Any) -> Any:
    import tensorflow as tf

    return tf.saturate_cast(tf.round(image), tf.uint8)


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
