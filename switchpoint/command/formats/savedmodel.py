"""TensorFlow's format, as TensorFlow Serving takes it: a folder, whose endpoint `serve` takes photos of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchpoint.command.formats import labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def write(model_file: Path, directory: Path) -> None:
    """Write it as `directory`/model.savedmodel.

    Not by `model.export`: what that traces keeps uint8 after resizing, where training had fractions, and answers
    otherwise. A function of ours around the model does not.
    """
    import keras
    import tensorflow as tf

    model = keras.models.load_model(model_file, compile=False)
    archive = keras.export.ExportArchive()
    archive.track(model)
    photos = tf.TensorSpec((None, None, None, 3), tf.uint8, name="photos")
    archive.add_endpoint("serve", lambda pixels: model(pixels, training=False), input_signature=[photos])
    archive.write_out(str(directory / "model.savedmodel"), verbose=False)


def load(path: Path) -> SavedModel:
    """The model of such a folder; its classes lie beside it."""
    return SavedModel(path)


class SavedModel:
    """A SavedModel that was loaded."""

    def __init__(self, path: Path) -> None:
        """Load it."""
        import tensorflow as tf

        self.classes = labels(path)
        self._loaded = tf.saved_model.load(str(path))  # its functions don't keep its variables alive

    def sized(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The photo: the model resizes."""
        return photo

    def answers(self, photos: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Probabilities, a photo at a time: a batch would have to be of one size."""
        import numpy as np

        return np.concatenate([self._loaded.serve(photo[None]).numpy() for photo in photos])
