"""Keras' own format, which the run's model has."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from switchpoint.command.formats import BATCH

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def write(model_file: Path, directory: Path) -> None:
    """Byte for byte the run's."""
    shutil.copyfile(model_file, directory / "model.keras")


def load(path: Path) -> KerasModel:
    """The model of a `.keras` file."""
    import keras

    model = keras.models.load_model(path, compile=False)
    return KerasModel(model, model.get_layer("labels").get_layer("class_names").get_vocabulary())


class KerasModel:
    """A Keras model that was loaded, and that `switchpoint.training.saved_model.assemble` made."""

    def __init__(self, model: Any, classes: Sequence[str]) -> None:
        """Make functions of it.

        Args:
            model: Takes photos.
            classes: Names in the order of its outputs.
        """
        import keras
        import tensorflow as tf

        from switchpoint.training.forward import function
        from switchpoint.training.saved_model import classifier

        self.classes = [str(name) for name in classes]
        size = keras.Model(model.input, model.get_layer("centre_crop").output)
        # As a graph, which any photo fits: called as it is, a Keras model keeps uint8 where training had fractions.
        self._size = tf.function(size, input_signature=[tf.TensorSpec((1, None, None, 3), tf.uint8)])
        self._compute = function(classifier(model), BATCH)

    def sized(self, photo: NDArray[np.uint8]) -> Any:
        """The crop that the network takes."""
        return self._size(photo[None])[0]

    def answers(self, photos: Sequence[Any]) -> NDArray[np.float32]:
        """Probabilities; the batch is filled up, so that one shape is traced."""
        import tensorflow as tf

        filled = tf.stack([*photos, *[photos[0]] * (BATCH - len(photos))])
        found: NDArray[np.float32] = self._compute(filled)[: len(photos)]
        return found
