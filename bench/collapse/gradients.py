"""What an all-zero row of labels does to a network: one step, by hand."""

from typing import Any

import numpy as np


def gradients() -> dict[str, dict[str, float]]:
    """What Keras trains on for one photo whose row is all zeros, in three ways to run the same model.

    Leaves op determinism switched on: call it last, or in a process of its own.

    Returns:
        For each way the loss, the sum of |∂L/∂logits| and the sum of ∂L/∂logits, read from a step of gradient descent.
    """
    import keras
    import tensorflow as tf

    def one_step(**options: Any) -> dict[str, float]:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, activation="softmax")])
        model.compile(keras.optimizers.SGD(1.0), "categorical_crossentropy", **options)
        loss = model.train_on_batch(np.ones((1, 4), "float32"), np.zeros((1, 5), "float32"))
        bias = model.layers[0].bias.numpy()  # it began at 0, and its gradient is that of the logits
        return {"loss": float(loss), "absolute": float(np.abs(bias).sum()), "sum": float(-bias.sum())}

    found = {"compiled": one_step(), "eager": one_step(run_eagerly=True)}
    tf.config.experimental.enable_op_determinism()
    return found | {"compiled, op determinism": one_step()}
