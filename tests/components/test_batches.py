"""What training sees of the photos in the records."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from switchpoint.data import records as recordfiles
from switchpoint.data.manifest import read_manifest
from switchpoint.errors import ParameterError
from switchpoint.training import augmentation
from switchpoint.training.batches import FILES_AT_ONCE, training_batches

SEED = 2**61 + 7  # as large as `streams.stream` makes them
ALL = 27  # training photos in the records


def seen(records: Path, kind: str, first: int, last: int, batch_size: int = 8, skip: int = 0) -> Any:
    """Photos of some epochs, after `skip` batches; in the records' order if they come in one batch."""
    ordered = batch_size == ALL
    batches = training_batches(records, batch_size, kind, 0.04, SEED, last, first, not ordered).skip(skip)
    return np.concatenate([images for images, _ in batches.as_numpy_iterator()])


def test_lab_is_the_crop_the_flip_and_the_turn_of_the_photos_draws(small_records: Path) -> None:
    manifest = read_manifest(small_records)
    height, width, size = manifest["image_height"], manifest["image_width"], manifest["image_size"]
    drawn = augmentation.draws(SEED, tf.constant(2, tf.int64), ALL)
    crops, turns = [], []
    for example in recordfiles.dataset(small_records, "train", FILES_AT_ONCE):
        top, left, *turn = tf.unstack(drawn[example["index"]])
        crops.append(augmentation.decode_crop(example["image"], height, width, size, top, left))
        turns.append(turn)
    expected = augmentation.flip_rotate(tf.stack(crops), *np.transpose(turns), 0.04).numpy()
    assert seen(small_records, "lab", 2, 2, ALL).tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["light", "strong"])
def test_what_is_seen_of_a_photo_is_a_function_of_seed_epoch_and_photo(small_records: Path, kind: str) -> None:
    both = seen(small_records, kind, 1, 2)
    first, second = np.split(both, 2)
    np.testing.assert_array_equal(seen(small_records, kind, 2, 2, skip=2), second[16:])  # a training that goes on
    views, others = ({image.tobytes() for image in epoch} for epoch in (first, second))
    assert views == {image.tobytes() for image in seen(small_records, kind, 1, 1, ALL)}  # whatever it comes with
    assert len(views | others) == 2 * ALL
    assert both.dtype == np.float32
    assert both.min() >= 0
    assert both.max() <= 255


def test_another_augmentation_is_refused(small_records: Path) -> None:
    with pytest.raises(ParameterError, match=r"must be lab, light or strong. Received: 'mild'"):
        seen(small_records, "mild", 1, 1)


def test_a_resized_crop_is_of_the_size_and_shape_that_it_may_have() -> None:
    rows, columns = np.mgrid[:100, :90]
    photo = np.stack([rows * 2, columns * 2, rows * 0], axis=-1).astype(np.uint8)
    jpeg = tf.io.encode_jpeg(photo, quality=100, chroma_downsampling=False)
    shares, ratios = [], []
    for seed in range(60):
        part = augmentation.resized_crop(jpeg, 100, 90, 64, tf.constant([seed, 1], tf.int64)).numpy().astype(float)
        assert part.shape == (64, 64, 3)
        height, width = (np.ptp(part[..., channel].mean(axis=1 - channel)) / 2 for channel in (0, 1))
        shares.append(height * width / 9000)
        ratios.append(width / height)
    assert 0.25 < min(shares) < 0.4
    assert 0.85 < max(shares) < 1.01
    assert 0.5 < np.mean(shares) < 0.7
    assert 0.7 < min(ratios) < 0.85
    assert 1.15 < max(ratios) < 1.4


def test_colours_change_a_little() -> None:
    photo = np.random.default_rng(1).integers(60, 180, (16, 16, 3), np.uint8)
    changes = [
        augmentation.recolour(tf.constant(photo), tf.constant([seed, 1], tf.int64)).numpy().astype(int) - photo
        for seed in range(20)
    ]
    assert all(0 < np.abs(change).mean() < 50 for change in changes)
    assert {np.sign(change.mean()) for change in changes} == {-1.0, 1.0}


def test_rand_augment_is_keras_layer_with_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layer itself computes all operations on a photo and takes one of each round."""
    layer = keras.layers.RandAugment(seed=0)
    monkeypatch.setattr(keras.layers, "RandAugment", lambda *_, **__: layer)
    change = augmentation.rand_augment()
    photo = tf.constant(np.random.default_rng(1).integers(0, 256, (12, 12, 3), np.uint8))
    one = tf.cast(photo, tf.float32)[None]
    taken = set()
    for number in range(16):
        seed = tf.constant([number, 1], tf.int64)
        ours = change(photo, seed).numpy()
        layer.generator = type(layer.generator)(seed)
        drawn = layer.get_random_transformation(one)
        taken |= set(drawn["layer_idxes"].numpy())
        np.testing.assert_allclose(ours, layer.transform_images(one, drawn)[0], atol=0.51)
    assert len(taken) >= 10  # of 11
