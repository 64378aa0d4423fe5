"""Features of the frozen backbone, computed once for a few views of each photo: only the head is trained on them."""

from __future__ import annotations

import shutil
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from switchpoint.data.manifest import read_manifest
from switchpoint.errors import NoSpaceError
from switchpoint.progress import Progress, say
from switchpoint.training.batches import (
    FILES_AT_ONCE,
    PREFETCH,
    Feed,
    as_written,
    plain_batches,
    shuffle,
    training_batches,
    untuned,
)
from switchpoint.training.forward import fill, function

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    import numpy as np
    import tensorflow as tf

# Those of Food-101 and EfficientNet-B0, 4 views × 68,175 photos × 1,280 channels × 2 bytes = 0.7 GB, stay in memory.
MEMORY_BYTES = 2**30
# What a GPU is given at a time, or several share: 256 photos at 224 px. An A100 runs EfficientNet-B0 on 2,189 photos a
# second in batches of 32, on 9,730 in batches of 1,024 (NVIDIA DeepLearningExamples, efficientnet_v1).
GPU_PIXELS = 256 * 224**2


def on_features(head: keras.Model) -> keras.Model:
    """The head without its pooling: pooled features (batch, channels) to probabilities (batch, classes).

    Its layers are those of `head`, and so are their weights and draws.
    """
    import keras

    features = keras.Input(head.input.shape[-1:], name="pooled")
    return keras.Model(features, head.get_layer("classes")(head.get_layer("dropout")(features)), name="on_features")


class Views:
    """Pooled features: of some views of each training photo, in float16, and of one of each validation photo.

    View v is what epoch v shows of a photo without this, and the photos come in the same order too. So on a CPU as many
    views as epochs train a head as through the backbone does, but for float16's rounding.

    Attributes:
        seconds: What each view took to compute.
    """

    def __init__(
        self,
        backbone: keras.Model,
        head: keras.Model,
        records: Path,
        views: int,
        augmented: bool,
        batch_size: int,
        augmentation: str,
        rotation: float,
        seed: int,
    ) -> None:
        """Compute them.

        Args:
            backbone: Frozen; computes in the precision that it is set to.
            head: From `network.head`: for its pooling.
            records: Directory written by prepare.
            views: How many of each training photo, from 1.
            augmented: Else every view is the centre crop.
            batch_size: Photos a training step.
            augmentation: As `training_batches` takes it.
            rotation: As `training_batches` takes it.
            seed: As `training_batches` takes it.

        Raises:
            NoSpaceError: There is no room for them.
        """
        import keras
        import numpy as np

        manifest = read_manifest(records)
        photos, held_out = (manifest["splits"][split]["photos"] for split in ("train", "validation"))
        self.views, self.batch_size, self.seed, self.classes = views, batch_size, seed, len(manifest["classes"])
        pooled = keras.Model(backbone.input, head.get_layer("pool")(backbone.output), name="pooled")
        size = _at_once(pooled, batch_size, photos)
        compute = function(pooled, size)
        channels = pooled.output.shape[-1]
        self.features, self.labels = _room((views, photos, channels)), np.empty(photos, np.int64)
        self.seconds: list[float] = []
        for view in range(1, views + 1):
            start = time.monotonic()
            if augmented:
                seen = training_batches(records, size, augmentation, rotation, seed, view, view, shuffled=False)
            else:
                seen = plain_batches(records, "train", size, FILES_AT_ONCE)
            fill(compute, seen, size, self.features[view - 1], self.labels)
            self.seconds.append(time.monotonic() - start)
            left = sum(self.seconds) / view * (views - view)
            say("transfer", Progress("view", view, views, round(left)))
        self.held_out, self.held_out_labels = np.empty((held_out, channels), np.float32), np.empty(held_out, np.int64)
        fill(compute, plain_batches(records, "validation", size), size, self.held_out, self.held_out_labels)

    def feed(self, epochs: int) -> Feed:
        """What trains the head for so many epochs."""
        training = partial(self.training_batches, epochs)
        return Feed(len(self.labels), len(self.held_out_labels), training, self.validation_batches, self.seconds)

    def training_batches(self, epochs: int, first_epoch: int) -> tf.data.Dataset:
        """All epochs from `first_epoch` on, the views in turns.

        Returns:
            tf.data.Dataset of (float32 (batch, channels), float32 one-hot (batch, classes)).
        """
        import tensorflow as tf

        def look_up(view: Any, indices: Any) -> Any:
            return self.features[view, indices].astype("float32"), self.labels[indices]

        def one_epoch(epoch: Any) -> Any:
            def load(indices: Any) -> Any:
                view = (epoch - 1) % self.views
                features, labels = tf.numpy_function(look_up, (view, indices), (tf.float32, tf.int64), stateful=False)
                features = tf.ensure_shape(features, (None, self.features.shape[-1]))
                return features, tf.one_hot(tf.ensure_shape(labels, (None,)), self.classes)

            indices = shuffle(tf.data.Dataset.range(len(self.labels)), len(self.labels), self.seed, epoch)
            return indices.batch(self.batch_size).map(as_written(load))

        return untuned(
            tf.data.Dataset.range(first_epoch, epochs + 1).flat_map(as_written(one_epoch)).prefetch(PREFETCH)
        )

    def validation_batches(self, batch_size: int) -> tf.data.Dataset:
        """The validation photos' features, as `training_batches` gives the training photos'."""
        import tensorflow as tf

        labels = tf.one_hot(self.held_out_labels, self.classes)
        return untuned(tf.data.Dataset.from_tensor_slices((self.held_out, labels)).batch(batch_size))


def _at_once(pooled: keras.Model, batch_size: int, photos: int) -> int:
    """How many photos to compute at a time: as many for each replica."""
    import tensorflow as tf

    replicas: int = pooled.distribute_strategy.num_replicas_in_sync
    if tf.config.list_physical_devices("GPU"):
        batch_size = max(batch_size, GPU_PIXELS // (pooled.input.shape[1] * pooled.input.shape[2]))
    return -(-min(batch_size, photos) // replicas) * replicas


def _room(shape: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """An array of float16: in memory if it is small, else in a file without a name, which ends with the process."""
    import numpy as np

    size = 2 * shape[0] * shape[1] * shape[2]
    if size <= MEMORY_BYTES:
        return np.empty(shape, np.float16)
    free = shutil.disk_usage(tempfile.gettempdir()).free  # a disk that is full later kills the process
    if size > free:
        raise NoSpaceError(
            f"The features of {shape[0]} views of {shape[1]} photos need {size / 1e9:.1f} GB in "
            f"{tempfile.gettempdir()}, which has {free / 1e9:.1f} GB free. Make room, set TMPDIR, or lower "
            "feature_views."
        )
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float16, "w+", shape=shape)
