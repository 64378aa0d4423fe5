"""A model as a function of batches, traced once; each replica computes its share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from switchpoint.training.batches import as_written

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    import numpy as np
    import tensorflow as tf


def function(model: keras.Model, size: int) -> Callable[[tf.Tensor], np.ndarray[Any, Any]]:
    """A model as a function of `size` photos, a multiple of the replicas, to a NumPy array."""
    import numpy as np
    import tensorflow as tf

    strategy = model.distribute_strategy
    share = size // strategy.num_replicas_in_sync

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def run(images: Any) -> Any:
        return strategy.run(lambda dealt: model(dealt, training=False), (images,))

    def compute(images: Any) -> Any:
        def deal(context: Any) -> Any:
            start = context.replica_id_in_sync_group * share
            return images[start : start + share]

        dealt = strategy.experimental_distribute_values_from_function(deal)
        return np.concatenate(strategy.experimental_local_results(run(dealt)))

    return compute


def fill(
    compute: Callable[[tf.Tensor], np.ndarray[Any, Any]],
    batches: tf.data.Dataset,
    size: int,
    outputs: np.ndarray[Any, Any],
    labels: np.ndarray[Any, Any],
) -> None:
    """Compute what a model makes of batches of photos.

    The last batch is filled up with black photos: one shape to trace, and as many for every replica.

    Args:
        compute: From `function`.
        batches: As `batches.plain_batches` makes them, of `size` photos.
        size: As `compute` takes them.
        outputs: To be filled: (photos, …).
        labels: To be filled: (photos,), 0-based.
    """
    import tensorflow as tf

    def whole(images: Any, one_hot: Any) -> Any:
        filled = tf.pad(images, [[0, size - tf.shape(images)[0]], [0, 0], [0, 0], [0, 0]])
        return tf.ensure_shape(filled, (size, *images.shape[1:])), tf.argmax(one_hot, axis=1)

    at = 0
    for images, found in batches.map(as_written(whole)):
        end = at + len(found)
        outputs[at:end] = compute(images)[: len(found)]
        labels[at:end] = found
        at = end
