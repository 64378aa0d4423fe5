"""Keras' older format, as the lab saved."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from switchpoint.command.errors import ExportError
from switchpoint.command.formats.keras import KerasModel

if TYPE_CHECKING:
    from pathlib import Path


def write(model_file: Path, directory: Path) -> None:
    """Write a final model as Keras H5, as the lab saved.

    That format can't hold the layer with the class names; they are in the file's attribute `class_names`, as JSON.

    Args:
        model_file: From `switchpoint.training.saved_model.save`.
        directory: Where to write model.h5.

    Raises:
        ExportError: Keras can't read back what it wrote, as with MobileNetV3.
    """
    import h5py
    import keras

    from switchpoint.training.saved_model import assemble

    model = keras.models.load_model(model_file, compile=False)
    resize, crop = model.get_layer("resize"), model.get_layer("centre_crop")
    names = [str(name) for name in model.get_layer("labels").get_layer("class_names").get_vocabulary()]
    temporary = directory / "part.h5"
    assemble(model, (resize.height, resize.width), crop.cropping, []).save(temporary)
    try:
        keras.models.load_model(temporary, compile=False)
    except Exception as error:  # Keras raises what it likes
        temporary.unlink()
        raise ExportError(
            f"Keras can't hold this network in H5: it does not read back what it wrote ({error}). "
            "Export it with --format keras."
        ) from error
    with h5py.File(temporary, "a") as file:
        file.attrs["class_names"] = json.dumps(names)
    temporary.replace(directory / "model.h5")


def load(path: Path) -> KerasModel:
    """The model of such a file."""
    import h5py
    import keras

    with h5py.File(path) as file:
        names = json.loads(file.attrs["class_names"])
    return KerasModel(keras.models.load_model(path, compile=False), names)
