"""A model as a run keeps it, around a network of three layers: what is tested of files costs no EfficientNet."""

from pathlib import Path
from typing import Any

import keras

from switchpoint.training import network
from switchpoint.training import saved_model as models

CLASSES = ["apple pie", "crème brûlée", "ramen"]


def save(path: Path, classes: list[str] = CLASSES, seed: int = 5) -> Path:
    """Write it; crops are 32×32 of 43×37, and the margins are odd."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, strides=2, padding="same")(x))
    x = keras.layers.DepthwiseConv2D(3)(keras.layers.Activation("silu")(x))
    backbone = keras.Model(inputs, x, name="backbone")
    classifier = network.join(backbone, network.head(backbone, len(classes), 0.2))
    head: Any = classifier.get_layer("head").get_layer("classes")
    head.kernel.assign(head.kernel * 10)  # an untrained network says nearly the same of all photos
    manifest: Any = {"classes": classes, "image_size": 32, "image_height": 43, "image_width": 37}
    models.save(models.complete(classifier, manifest), path)
    return path
