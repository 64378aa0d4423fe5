"""The records as batches: augmented for training, centre crops for validation and test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from switchpoint.cores import cores
from switchpoint.data import records as recordfiles
from switchpoint.data.manifest import read_manifest
from switchpoint.training.augmentation import decode_crop, draws, flip_rotate, views

if TYPE_CHECKING:
    from pathlib import Path

    import tensorflow as tf

PREFETCH = 4  # batches
# Decoded validation photos are kept up to here: those of Food-101 are 7,575 × 224 × 224 × 3 bytes = 1.14 GB.
CACHED_BYTES = 2 * 2**30
SHUFFLED = 16_384  # photos at a time
FILES_AT_ONCE = 4  # of training photos: object storage gives a single file slowly


@dataclass(frozen=True)
class Feed:
    """What a training sees.

    Attributes:
        photos: Training photos, an epoch.
        held_out: Validation photos.
        training: Given an epoch, the batches of it and of all after it, as `training_batches` makes them.
        validation: Given a batch size, the validation photos in batches, as `plain_batches` makes them.
        before: Seconds that the first epochs took before they began.
    """

    photos: int
    held_out: int
    training: Callable[[int], tf.data.Dataset]
    validation: Callable[[int], tf.data.Dataset]
    before: Sequence[float] = ()


def feed(records: Path, batch_size: int, augmentation: str, rotation: float, seed: int, epochs: int) -> Feed:
    """The photos themselves, another view of each in every epoch."""
    splits = read_manifest(records)["splits"]
    return Feed(
        splits["train"]["photos"],
        splits["validation"]["photos"],
        partial(training_batches, records, batch_size, augmentation, rotation, seed, epochs),
        partial(plain_batches, records, "validation", cached=True),
    )


def training_batches(
    records: Path,
    batch_size: int,
    augmentation: str,
    rotation: float,
    seed: int,
    epochs: int,
    first_epoch: int = 1,
    shuffled: bool = True,
) -> tf.data.Dataset:
    """Augmented batches of all epochs from `first_epoch` on, one epoch after the other.

    Args:
        records: Directory written by prepare.
        batch_size: Photos a step.
        augmentation: As `augmentation.views` takes it.
        rotation: As `augmentation.flip_rotate` takes it.
        seed: Of all draws.
        epochs: The last epoch.
        first_epoch: From 1.
        shuffled: Whether the photos come in another order in each epoch.

    Returns:
        tf.data.Dataset of (float32 (batch, size, size, 3) in [0, 255], float32 one-hot (batch, classes)); an epoch is
        ceil(photos / batch_size) batches, and its content a function of (seed, epoch). Not `shuffled` changes only
        the photos' order: to that of `records.dataset` with `FILES_AT_ONCE`.
    """

    def turn(images: Any, labels: Any, flip: Any, angle: Any) -> Any:
        return flip_rotate(images, flip, angle, rotation), labels

    crops = training_crops(records, batch_size, augmentation, seed, epochs, first_epoch, shuffled)
    return untuned(crops.map(as_written(turn), num_parallel_calls=cores()).prefetch(PREFETCH))


def training_crops(
    records: Path,
    batch_size: int,
    augmentation: str,
    seed: int,
    epochs: int,
    first_epoch: int = 1,
    shuffled: bool = True,
) -> tf.data.Dataset:
    """The first half of `training_batches`: random views, not yet flipped and rotated.

    Returns:
        tf.data.Dataset of (uint8 (batch, size, size, 3), float32 one-hot (batch, classes), flip, angle), the last two
        float32 (batch,) as `flip_rotate` takes them.
    """
    import tensorflow as tf

    manifest = read_manifest(records)
    size, classes = manifest["image_size"], len(manifest["classes"])
    photos = manifest["splits"]["train"]["photos"]
    examples = recordfiles.dataset(records, "train", FILES_AT_ONCE)
    view = views(augmentation, manifest["image_height"], manifest["image_width"], size)

    def one_epoch(epoch: Any) -> Any:
        drawn = draws(seed, epoch, photos)

        def crop(example: dict[str, Any]) -> Any:
            top, left, flip, angle = tf.unstack(drawn[example["index"]])
            of_photo = tf.random.fold_in(tf.stack([tf.constant(seed, tf.int64), epoch]), example["index"])
            image = view(example["image"], top, left, of_photo)
            return image, tf.one_hot(example["label"], classes), flip, angle

        chosen = shuffle(examples, photos, seed, epoch) if shuffled else examples
        return chosen.map(as_written(crop), num_parallel_calls=cores()).batch(batch_size)

    return untuned(tf.data.Dataset.range(first_epoch, epochs + 1).flat_map(as_written(one_epoch)).prefetch(PREFETCH))


def shuffle(dataset: tf.data.Dataset, photos: int, seed: int, epoch: Any) -> tf.data.Dataset:
    """A dataset with an element a photo, in the order of `epoch`: scalar int64, from 1."""
    import tensorflow as tf

    return dataset.shuffle(min(photos, SHUFFLED), seed=tf.constant(seed, tf.int64) + epoch)


def plain_batches(
    records: Path, split: str, batch_size: int, files_at_once: int = 1, cached: bool = False
) -> tf.data.Dataset:
    """Centre crops in the order of `records.dataset`, no augmentation: what validation and test see.

    If they are `cached`, photos are decoded once and kept, up to `CACHED_BYTES`.

    Returns:
        tf.data.Dataset of (uint8 (batch, size, size, 3), float32 one-hot (batch, classes)).
    """
    import tensorflow as tf

    manifest = read_manifest(records)
    size, classes = manifest["image_size"], len(manifest["classes"])

    def crop(example: dict[str, Any]) -> Any:
        image = decode_crop(example["image"], manifest["image_height"], manifest["image_width"], size, 0.5, 0.5)
        return image, tf.one_hot(example["label"], classes)

    examples = recordfiles.dataset(records, split, files_at_once)
    batches = examples.map(as_written(crop), num_parallel_calls=cores()).batch(batch_size)
    if cached and manifest["splits"][split]["photos"] * size * size * 3 <= CACHED_BYTES:
        batches = batches.cache()
    return untuned(batches.prefetch(PREFETCH))


def as_written(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function for tf.data that has no Python loops and branches: to look for them takes longer than to trace it."""
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)  # type: ignore[no-any-return]


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """A dataset without tf.data's autotuning: at its end it waits for the tuner, which sleeps for up to a minute."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
