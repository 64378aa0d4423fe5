"""Formats that a model is exported in, a file each: `write` makes one, `load` one that answers.

`keras`, `h5`, `savedmodel`   take photos of any size
`onnx`, `tflite`              begin at resized pixels; `preprocessing.json` beside them says how photos become these

The run's model is Keras', and the others are written from it. None of them is believed: what was written is loaded
again and compared (`switchpoint.command.publish.comparison`).
"""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, Protocol

from switchpoint.command.errors import MissingPackageError, NoModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

FORMATS = ("keras", "h5", "savedmodel", "onnx", "tflite")
CLASSES = "classes.json"
BATCH = 32  # photos


class Model(Protocol):
    """A model that was loaded.

    Attributes:
        classes: Names in the order of the outputs.
    """

    classes: list[str]

    def sized(self, photo: NDArray[np.uint8]) -> Any:
        """What of a photo, (height, width, 3) RGB, `answers` takes: small where the network is small."""

    def answers(self, photos: Sequence[Any]) -> NDArray[np.float32]:
        """Probabilities (photos, classes) for one to `BATCH` of what `sized` gives."""


def write(kind: str, model_file: Path, directory: Path) -> None:
    """Write a run's model in a format: `directory`/model.KIND, and what else it takes to use it.

    Args:
        kind: One of `FORMATS`.
        model_file: The run's `.keras` file.
        directory: Of the export.

    Raises:
        ExportError: The format can't hold this network.
        MissingPackageError: A library is not installed.
    """
    _module(kind).write(model_file, directory)


def load(path: Path) -> Model:
    """A model of any format, by its name.

    Args:
        path: File, or for savedmodel folder; of onnx and tflite the files of the export lie beside it.

    Raises:
        NoModelError: It is none that Switchpoint wrote.
        MissingPackageError: A library is not installed.
    """
    kind = path.suffix.removeprefix(".")
    try:
        if kind not in FORMATS:
            raise ValueError(f"its name ends in none of {', '.join(f'.{name}' for name in FORMATS)}")
        loaded: Model = _module(kind).load(path)
    except MissingPackageError:
        raise
    except Exception as error:  # the libraries raise what they like
        raise NoModelError(
            f"{path} can't be read as a model that Switchpoint saved ({error}). Give a run, an export, or the model's "
            "file in one of them."
        ) from error
    return loaded


def labels(path: Path) -> list[str]:
    """The classes that lie beside a model, in the order of its outputs."""
    found: list[str] = json.loads((path.parent / CLASSES).read_text(encoding="utf-8"))
    return found


def package(name: str) -> Any:
    """A library of the extra `export`.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPackageError(
            f"This format needs {name.partition('.')[0]}, which is not installed ({error}). "
            "Install Switchpoint with its extra `export`: pip install 'switchpoint[export]'."
        ) from error


def _module(kind: str) -> Any:
    return importlib.import_module(f"switchpoint.command.formats.{kind}")
