"""One training on all GPUs of a machine: each gets its share of a batch, and the gradient is that of the whole."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@functools.cache  # two in one process would get the same keys for what their replicas exchange
def strategy() -> tf.distribute.Strategy:
    """Where to build and compile a model: on every GPU when there are several, a batch's photos split among them.

    Without a GPU the CPU's logical devices count, of which there is one, unless a test asks for more.
    """
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def cross_entropy(label_smoothing: float) -> keras.losses.Loss:
    """Categorical cross-entropy, for the strategy in whose scope it is made.

    Keras takes the mean of the replicas' means. When a batch does not divide, a photo of the smaller share would weigh
    more, so each replica's gradient is given the weight that its share of the batch has. The value stays the replica's
    own mean, since Keras weighs that by photos when it adds up an epoch's loss.
    """
    import keras
    import tensorflow as tf

    class ReplicaCrossentropy(keras.losses.CategoricalCrossentropy):  # type: ignore[misc]
        def call(self, y_true: Any, y_pred: Any) -> Any:
            values = super().call(y_true, y_pred)
            replica = tf.distribute.get_replica_context()
            if replica is None:  # Keras asks for the shape alone
                return values
            photos = tf.cast(tf.shape(values)[0], values.dtype)
            share = photos * replica.num_replicas_in_sync / replica.all_reduce("SUM", photos)
            return share * values + tf.stop_gradient((1 - share) * values)

    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    loss = ReplicaCrossentropy if several else keras.losses.CategoricalCrossentropy
    return loss(label_smoothing=label_smoothing)


def reaches_all(photos: Any, replicas: int) -> Any:
    """Whether every replica gets one: TensorFlow deals ceil(photos / replicas) to each until there are no more."""
    return -(-photos // replicas) * (replicas - 1) < photos


def even_size(photos: int, largest: int, replicas: int) -> int:
    """The largest size of validation's batches by which every replica gets a photo of each; else `largest`."""
    for size in range(largest, replicas, -1):
        if reaches_all(size, replicas) and (photos % size == 0 or reaches_all(photos % size, replicas)):
            return size
    return largest


def for_all(batches: tf.data.Dataset, replicas: int) -> tf.data.Dataset:
    """A batch that would leave a replica without a photo, which networks can't compute, comes `replicas` times.

    The gradient is the same; in the epoch's training loss and accuracy these few photos count as often.
    """
    import tensorflow as tf

    def repeat(images: Any, labels: Any) -> Any:
        times = tf.where(reaches_all(tf.shape(labels)[0], replicas), 1, replicas)
        return tf.repeat(images, times, axis=0), tf.repeat(labels, times, axis=0)

    return batches.map(repeat) if replicas > 1 else batches
