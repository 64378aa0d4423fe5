"""The final model: one `.keras` file that Keras alone reads, with preprocessing and class names inside.

photos (uint8, any size) ─► resize ─► centre_crop ─► backbone ─► head ─► labels ─► probabilities
                                                                          └ class_names, a StringLookup

Resize and crop are what prepare and validation do, save the JPEG between them. Nothing here is a class of ours, so
safe mode loads it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from switchpoint.training.network import join, set_precision, variables_digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import keras

    from switchpoint.documents.records import ManifestContent


def complete(classifier: keras.Model, manifest: ManifestContent) -> keras.Model:
    """Put preprocessing and class names around a classifier.

    Args:
        classifier: From `network.join`. Its layers are set to float32, also when mixed precision trained
            them: the weights are float32, and so the model predicts the same on every machine.
        manifest: Of the records that it was trained on.

    Returns:
        Keras model "switchpoint": uint8 RGB (batch, height, width, 3), of any height and width, to float32
        probabilities (batch, classes). `get_layer("labels").get_layer("class_names").get_vocabulary()` names them.
    """
    set_precision(classifier, "off")
    size = (manifest["image_height"], manifest["image_width"])
    # Cropping2D, for CenterCrop rounds the other way than the crop of validation when the margin is odd.
    margins = [side - manifest["image_size"] for side in size]
    crop = [((margin + 1) // 2, margin // 2) for margin in margins]
    return assemble(classifier, size, crop, manifest["classes"])


def assemble(
    classifier: keras.Model, size: Sequence[int], crop: Sequence[tuple[int, int]], names: Sequence[str]
) -> keras.Model:
    """A model that takes photos of any size, around a classifier's backbone and head.

    Args:
        classifier: Holds `backbone` and `head`.
        size: Height and width to resize to, in pixels.
        crop: Pixels to cut off: (top, bottom), (left, right).
        names: Classes in the order of the outputs; empty: they are not kept in the model.
    """
    import keras

    photos = keras.Input((None, None, 3), dtype="uint8", name="photos")
    pixels = keras.layers.Resizing(*size, name="resize")(photos)
    pixels = keras.layers.Cropping2D(crop, name="centre_crop")(pixels)
    outputs = classifier.get_layer("head")(classifier.get_layer("backbone")(pixels))
    if names:
        outputs, _ = _labels(names)(outputs)
    return keras.Model(photos, outputs, name="switchpoint")


def _labels(names: Sequence[str]) -> keras.Model:
    """Probabilities to themselves and the likeliest class's name: what keeps the names in the file."""
    import keras

    inputs = keras.Input((len(names),), name="inputs")
    likeliest = keras.ops.argmax(inputs, axis=-1)
    likeliest._keras_history.operation.name = "likeliest"  # else Keras numbers it, differently in each process
    lookup = keras.layers.StringLookup(vocabulary=list(names), invert=True, num_oov_indices=0, name="class_names")
    probabilities = keras.layers.Identity(name="probabilities")(inputs)
    return keras.Model(inputs, [probabilities, lookup(likeliest)], name="labels")


def classifier(model: keras.Model) -> keras.Model:
    """The network inside, for crops that have the right size already: as `network.join` gave it."""
    return join(model.get_layer("backbone"), model.get_layer("head"))


def digest(model: keras.Model) -> str:
    """Hex SHA-256 over a Keras model's variables by name and value, and its configuration, class names among it."""
    described = json.dumps([model.get_config(), variables_digest(model)], sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()


def save(model: keras.Model, path: Path) -> str:
    """Write a `.keras` file under a temporary name, then move it into place; give its `digest`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name("part.keras")
    model.save(temporary)
    temporary.replace(path)
    return digest(model)
