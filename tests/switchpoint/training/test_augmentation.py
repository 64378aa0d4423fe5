import keras
import numpy as np
import pytest
import tensorflow as tf

from switchpoint.training import augmentation


def photo(height: int = 40, width: int = 36) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 5, columns * 6, (rows + columns) * 3], axis=-1).clip(0, 255).astype(np.uint8)


def jpeg(image: np.ndarray) -> tf.Tensor:
    return tf.io.encode_jpeg(image, quality=100, chroma_downsampling=False)


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_a_crop_is_the_window_of_the_whole_image(draw: float) -> None:
    data = jpeg(photo())
    whole = tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE").numpy()
    crop = augmentation.decode_crop(data, 40, 36, 32, tf.constant(draw), tf.constant(draw)).numpy()
    top, left = int(draw * 9), int(draw * 5)
    np.testing.assert_array_equal(crop, whole[top : top + 32, left : left + 32])


def test_every_place_of_the_crop_is_drawn_as_often() -> None:
    numbers = augmentation.draws(1, tf.constant(1, tf.int64), 900).numpy()
    counts = np.bincount((numbers[:, 0] * 9).astype(int), minlength=9)
    assert counts.min() > 70
    assert ((numbers >= 0) & (numbers < 1)).all()


def test_a_draw_is_a_function_of_seed_epoch_and_photo() -> None:
    def drawn(seed: int, epoch: int) -> np.ndarray:
        return augmentation.draws(seed, tf.constant(epoch, tf.int64), 4).numpy()

    np.testing.assert_array_equal(drawn(1, 2), drawn(1, 2))
    assert len({*drawn(1, 2).flat, *drawn(2, 2).flat, *drawn(2, 1).flat, *drawn(1, 3).flat}) == 4 * 16


def test_no_flip_and_no_turn_leave_the_photo_alone() -> None:
    images = photo()[None].astype(np.float32)
    same = augmentation.flip_rotate(images, tf.constant([0.9]), tf.constant([0.5]), 0.04).numpy()
    np.testing.assert_allclose(same, images, atol=1e-3)


@pytest.mark.parametrize("flip", [0.1, 0.9])
@pytest.mark.parametrize("turn", [0.0, 0.3, 0.5, 1.0])
def test_flip_and_rotation_equal_keras_layers_one_after_the_other(flip: float, turn: float) -> None:
    images = photo()[None].astype(np.float32)
    ours = augmentation.flip_rotate(images, tf.constant([flip]), tf.constant([turn]), 0.04).numpy()
    fixed = (turn * 2 - 1) * 0.04
    rotate = keras.layers.RandomRotation((fixed, fixed), fill_mode="nearest", interpolation="bilinear")
    theirs = rotate(images[:, :, ::-1] if flip < 0.5 else images, training=True).numpy()
    np.testing.assert_allclose(ours, theirs, atol=0.05)
