"""The network that is trained: a backbone, a new head on it, and the precision that both compute in."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def head(backbone: keras.Model, classes: int, dropout: float) -> keras.Model:
    """A new head for a backbone: global average pooling, dropout, dense softmax."""
    import keras

    features = keras.Input(backbone.output.shape[1:], name="features")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="classes")(x)
    return keras.Model(features, outputs, name="head")


def join(backbone: keras.Model, top: keras.Model) -> keras.Model:
    """Backbone and head as one model: RGB in [0, 255], (batch, size, size, 3), to probabilities (batch, classes).

    The backbone's stochastic depth is switched off: inside `fit` Keras 3 would leave it on even while it is frozen,
    whatever `training=` says.
    """
    import keras

    for layer in backbone._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    photos = keras.Input(backbone.input.shape[1:], name="photos")
    return keras.Model(photos, top(backbone(photos)), name="classifier")


def gains_from_mixed_precision() -> bool:
    """Whether all GPUs here, if there are any, have float16 tensor cores: compute capability 7.0, Volta, or later."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return bool(gpus) and all(each.get("compute_capability", (0, 0)) >= (7, 0) for each in details)


def set_precision(model: keras.Model, mixed_precision: str) -> None:
    """Compute in float32 or mixed_float16, but the softmax in float32; weights stay float32. Compile afterwards.

    Args:
        model: From `join`.
        mixed_precision: on, off, or auto: see `gains_from_mixed_precision`.
    """
    mixed = gains_from_mixed_precision() if mixed_precision == "auto" else mixed_precision == "on"
    policy = "mixed_float16" if mixed else "float32"
    for layer in model._flatten_layers():
        if layer.name != "classes":
            layer.dtype_policy = policy


def variables_digest(model: keras.Model) -> str:
    """Hex SHA-256 over a Keras model's variables by name and value; two equal trainings give the same."""
    digest = hashlib.sha256()
    for variable in model.weights:
        value = variable.numpy()
        path = re.sub(r"/variable_\d+$", "/variable", variable.path)  # ConvNeXt's have no name: Keras counts them
        digest.update(f"{path}\0{value.dtype}\0{value.shape}\0".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
