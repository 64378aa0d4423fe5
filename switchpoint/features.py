"""Features of the frozen backbone, computed once for a few views of each photo: only the head is trained on them."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from switchpoint import records as recordfiles
from switchpoint.batches import FILES_AT_ONCE, PREFETCH, plain_batches, shuffle, training_batches, untuned
from switchpoint.errors import SwitchpointError
from switchpoint.training import steps_per_epoch

# Those of Food-101, 4 views × 68,175 photos × 1,280 channels × 2 bytes = 0.7 GB, stay in memory.
MEMORY_BYTES = 2**30
# Photos at a time on each GPU: an A100 runs EfficientNet-B0 on 2,189 photos a second in batches of 32, on 9,730 in
# batches of 1,024 (NVIDIA DeepLearningExamples, efficientnet_v1).
GPU_BATCH = 256


def on_features(head: Any) -> Any:
    """The head without its pooling: pooled features (batch, channels) to probabilities (batch, classes).

    Its layers are those of `head`, and so are their weights and draws.
    """
    import keras

    features = keras.Input(head.get_layer("pool").output.shape[1:], name="pooled")
    return keras.Model(features, head.get_layer("classes")(head.get_layer("dropout")(features)), name="on_features")


class Views:
    """Pooled features: of some views of each training photo, in float16, and of one of each validation photo.

    View v is what epoch v shows of a photo without this, and the photos' order is as without this too: as many views as
    epochs train a head as through the backbone, but for float16's rounding. A single view is the centre crop.

    Attributes:
        seconds: What each view took to compute.
    """

    def __init__(
        self, backbone: Any, head: Any, records: Path, views: int, batch_size: int, rotation: float, seed: int
    ) -> None:
        """Compute them.

        Args:
            backbone: Frozen; computes in the precision that it is set to.
            head: From `switchpoint.training.head`: for its pooling.
            records: Directory written by prepare.
            views: How many of each training photo, from 1.
            batch_size: Photos a training step.
            rotation: As `training_batches` takes it.
            seed: As `training_batches` takes it.

        Raises:
            SwitchpointError: There is no room for them.
        """
        import keras
        import tensorflow as tf

        pooled = keras.Model(backbone.input, head.get_layer("pool")(backbone.output), name="pooled")
        manifest = recordfiles.read_manifest(records)
        self.views, self.batch_size, self.seed, self.classes = views, batch_size, seed, len(manifest["classes"])
        self.labels = recordfiles.labels(records, "train", FILES_AT_ONCE)
        self.held_out_labels = recordfiles.labels(records, "validation")
        replicas = pooled.distribute_strategy.num_replicas_in_sync
        at_once = max(batch_size, GPU_BATCH * replicas) if tf.config.list_physical_devices("GPU") else batch_size
        size = -(-at_once // replicas) * replicas

        def predict(batches: Any, photos: int) -> Any:
            """The last batch is filled up with black photos: one shape to trace, and as many for every replica."""

            def fill(images: Any, _: Any) -> Any:
                filled = tf.pad(images, [[0, size - tf.shape(images)[0]], [0, 0], [0, 0], [0, 0]])
                return tf.ensure_shape(filled, (size, *images.shape[1:]))

            return pooled.predict(batches.map(fill), verbose=0, steps=steps_per_epoch(photos, size))[:photos]

        photos = len(self.labels)
        self.features = _room((views, photos, pooled.output.shape[-1]))
        self.seconds: list[float] = []
        for view in range(1, views + 1):
            start = time.monotonic()
            if views == 1:
                seen = plain_batches(records, "train", size, FILES_AT_ONCE)
            else:
                seen = training_batches(records, size, rotation, seed, view, view, shuffled=False)
            self.features[view - 1] = predict(seen, photos)
            self.seconds.append(time.monotonic() - start)
            left = sum(self.seconds) / view * (views - view)
            print(f"transfer  view {view}/{views}  {left:.0f} s left", flush=True)
        self.held_out = predict(plain_batches(records, "validation", size), len(self.held_out_labels))

    def training_batches(self, epochs: int, first_epoch: int) -> Any:
        """All epochs from `first_epoch` on, the views in turns.

        Returns:
            tf.data.Dataset of (float32 (batch, channels), float32 one-hot (batch, classes)).
        """
        import tensorflow as tf

        def look_up(view: Any, places: Any) -> Any:
            return self.features[view, places].astype("float32"), self.labels[places]

        def one_epoch(epoch: Any) -> Any:
            def load(places: Any) -> Any:
                view = (epoch - 1) % self.views
                features, labels = tf.numpy_function(look_up, (view, places), (tf.float32, tf.int64), stateful=False)
                features = tf.ensure_shape(features, (None, self.features.shape[-1]))
                return features, tf.one_hot(tf.ensure_shape(labels, (None,)), self.classes)

            places = shuffle(tf.data.Dataset.range(len(self.labels)), len(self.labels), self.seed, epoch)
            return places.batch(self.batch_size).map(load)

        return untuned(tf.data.Dataset.range(first_epoch, epochs + 1).flat_map(one_epoch).prefetch(PREFETCH))

    def validation_batches(self, batch_size: int) -> Any:
        """The validation photos' features, as `training_batches` gives the training photos'."""
        import tensorflow as tf

        labels = tf.one_hot(self.held_out_labels, self.classes)
        return untuned(tf.data.Dataset.from_tensor_slices((self.held_out, labels)).batch(batch_size))


def _room(shape: tuple[int, int, int]) -> Any:
    """An array of float16: in memory if it is small, else in a file without a name, which ends with the process."""
    import numpy as np

    size = 2 * shape[0] * shape[1] * shape[2]
    if size <= MEMORY_BYTES:
        return np.empty(shape, np.float16)
    free = shutil.disk_usage(tempfile.gettempdir()).free  # else a full disk would kill the process later
    if size > free:
        raise SwitchpointError(
            f"The features of {shape[0]} views of {shape[1]} photos need {size / 1e9:.1f} GB in "
            f"{tempfile.gettempdir()}, which has {free / 1e9:.1f} GB free. Make room, set TMPDIR, or lower "
            "feature_views."
        )
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float16, "w+", shape=shape)
