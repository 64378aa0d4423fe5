"""TensorFlow Lite, which is called LiteRT now: the network alone, from resized pixels to probabilities, for phones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchpoint.command.formats import labels, package
from switchpoint.command.formats.pixels import Preprocessing
from switchpoint.cores import cores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def write(model_file: Path, directory: Path) -> None:
    """Write it as `directory`/model.tflite, in float32, and how photos become its input beside it."""
    import keras
    import tensorflow as tf

    from switchpoint.training.saved_model import classifier

    model = keras.models.load_model(model_file, compile=False)
    preprocessing = Preprocessing.inside(model)
    pixels = tf.TensorSpec((1, preprocessing.size, preprocessing.size, 3), tf.float32, name="pixels")
    classifier(model).export(str(directory / "model.tflite"), format="litert", verbose=False, input_signature=[pixels])
    preprocessing.write(directory)


def load(path: Path) -> TfliteModel:
    """The model of such a file; its classes and how photos become its input lie beside it."""
    return TfliteModel(path)


class TfliteModel:
    """A TensorFlow Lite model that was loaded."""

    def __init__(self, path: Path) -> None:
        """Load it into the interpreter, on the CPU.

        Raises:
            MissingPackageError: ai-edge-litert is not installed.
        """
        self.classes = labels(path)
        self._preprocessing = Preprocessing.beside(path)
        interpreter = package("ai_edge_litert.interpreter").Interpreter(str(path), num_threads=cores())
        interpreter.allocate_tensors()
        self._input, self._output = (
            each[0]["index"] for each in (interpreter.get_input_details(), interpreter.get_output_details())
        )
        self._interpreter = interpreter

    def sized(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The pixels that the network takes."""
        return self._preprocessing.of(photo)

    def answers(self, photos: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Probabilities, a photo at a time: the file has a batch of one, which phones run."""
        import numpy as np

        found = []
        for photo in photos:
            self._interpreter.set_tensor(self._input, photo[None])
            self._interpreter.invoke()
            found.append(self._interpreter.get_tensor(self._output)[0])
        return np.stack(found)
