"""ONNX: the network alone, from resized pixels to probabilities, for ONNX Runtime and what else reads it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from switchpoint.command.errors import ExportError
from switchpoint.command.formats import labels, package
from switchpoint.command.formats.pixels import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def write(model_file: Path, directory: Path) -> None:
    """Write it as `directory`/model.onnx, and how photos become its input beside it.

    Raises:
        ExportError: ONNX Runtime can't read what was written, as with ConvNeXt.
        MissingPackageError: tf2onnx or ONNX Runtime is not installed.
    """
    tf2onnx, runtime = package("tf2onnx"), package("onnxruntime")
    import keras
    import tensorflow as tf

    from switchpoint.training.saved_model import classifier

    model = keras.models.load_model(model_file, compile=False)
    preprocessing, network = Preprocessing.inside(model), classifier(model)
    pixels = tf.TensorSpec((None, preprocessing.size, preprocessing.size, 3), tf.float32, name="pixels")
    answers = tf.function(lambda pixels: {"probabilities": network(pixels, training=False)}, autograph=False)
    logging.disable(logging.ERROR)  # TensorFlow and tf2onnx tell what they pass over; what comes out is compared
    try:
        tf2onnx.convert.from_function(answers, [pixels], output_path=str(directory / "model.onnx"))
    finally:
        logging.disable(logging.NOTSET)
    try:
        runtime.InferenceSession(str(directory / "model.onnx"), providers=["CPUExecutionProvider"])
    except Exception as error:  # it raises what it likes: of convolutions in groups, which Keras leaves to XLA
        (directory / "model.onnx").unlink()
        raise ExportError(
            f"tf2onnx can't write this network: ONNX Runtime does not read it ({error}). "
            "Export it with --format keras, savedmodel or tflite."
        ) from error
    preprocessing.write(directory)


def load(path: Path) -> OnnxModel:
    """The model of such a file; its classes and how photos become its input lie beside it."""
    return OnnxModel(path)


class OnnxModel:
    """An ONNX model that was loaded."""

    def __init__(self, path: Path) -> None:
        """Load it into ONNX Runtime, on the CPU."""
        runtime = package("onnxruntime")
        self.classes = labels(path)
        self._preprocessing = Preprocessing.beside(path)
        self._session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def sized(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The pixels that the network takes."""
        return self._preprocessing.of(photo)

    def answers(self, photos: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Probabilities of a batch."""
        import numpy as np

        found: list[NDArray[np.float32]] = self._session.run(None, {"pixels": np.stack(photos)})
        return found[0]
