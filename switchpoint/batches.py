"""The records as batches: augmented for training, centre crops for validation and test."""

import os
from pathlib import Path
from typing import Any

from switchpoint import records as recordfiles
from switchpoint.augmentation import decode_crop, draws, flip_rotate

PREFETCH = 4  # batches
_LARGE_PRIME = 1_000_003


def training_batches(
    records: Path, batch_size: int, rotation: float, seed: int, epochs: int, first_epoch: int = 1
) -> Any:
    """Augmented batches of all epochs from `first_epoch` on, one epoch after the other.

    Returns:
        tf.data.Dataset of (float32 (batch, size, size, 3) in [0, 255], float32 one-hot (batch, classes)); an epoch is
        ceil(photos / batch_size) batches, and its content a function of (seed, epoch).
    """
    import tensorflow as tf

    manifest = recordfiles.read_manifest(records)
    size, classes = manifest["image_size"], len(manifest["classes"])
    photos = manifest["splits"]["train"]["photos"]
    examples = recordfiles.dataset(records, "train")

    def crop(example: dict[str, Any], epoch: Any) -> Any:
        draw = draws(seed, epoch, example["index"])
        image = decode_crop(example["image"], manifest["image_height"], manifest["image_width"], size, draw[0], draw[1])
        return image, tf.one_hot(example["label"], classes), draw[2], draw[3]

    def turn(images: Any, labels: Any, flip: Any, angle: Any) -> Any:
        return flip_rotate(images, flip, angle, rotation), labels

    def one_epoch(epoch: Any) -> Any:
        shuffled = examples.shuffle(min(photos, 16_384), seed=tf.constant(seed, tf.int64) * _LARGE_PRIME + epoch)
        cropped = shuffled.map(lambda example: crop(example, epoch), num_parallel_calls=_cores())
        return cropped.batch(batch_size)

    every_epoch = tf.data.Dataset.range(first_epoch, epochs + 1).flat_map(one_epoch)
    return _untuned(every_epoch.map(turn, num_parallel_calls=_cores()).prefetch(PREFETCH))


def plain_batches(records: Path, split: str, batch_size: int) -> Any:
    """Centre crops in file order, no augmentation: what validation and test see.

    Returns:
        tf.data.Dataset of (uint8 (batch, size, size, 3), float32 one-hot (batch, classes)).
    """
    import tensorflow as tf

    manifest = recordfiles.read_manifest(records)
    size, classes = manifest["image_size"], len(manifest["classes"])

    def crop(example: dict[str, Any]) -> Any:
        image = decode_crop(example["image"], manifest["image_height"], manifest["image_width"], size, 0.5, 0.5)
        return image, tf.one_hot(example["label"], classes)

    examples = recordfiles.dataset(records, split)
    return _untuned(examples.map(crop, num_parallel_calls=_cores()).batch(batch_size).prefetch(PREFETCH))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _untuned(dataset: Any) -> Any:
    """Without tf.data's autotuning: ending a pipeline waits for its tuner, which sleeps for up to a minute."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
