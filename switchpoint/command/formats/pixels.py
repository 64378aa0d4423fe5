"""How a photo becomes the pixels that a network takes, for formats that begin there; without TensorFlow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from switchpoint.files import write_json

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

NAME = "preprocessing.json"


class Preprocessing(NamedTuple):
    """Resize to height × width, bilinear and without antialiasing; then cut a square of `size` at top and left."""

    height: int
    width: int
    top: int
    left: int
    size: int

    @classmethod
    def inside(cls, model: Any) -> Preprocessing:
        """What a Keras model that takes photos does first."""
        resize, ((top, bottom), (left, _)) = model.get_layer("resize"), model.get_layer("centre_crop").cropping
        return cls(resize.height, resize.width, top, left, resize.height - top - bottom)

    @classmethod
    def beside(cls, path: Path) -> Preprocessing:
        """What lies beside a model."""
        return cls(**json.loads((path.parent / NAME).read_text(encoding="utf-8")))

    def write(self, directory: Path) -> None:
        """Put it beside a model."""
        write_json(directory / NAME, self._asdict())

    def of(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        """A photo, (height, width, 3) RGB, as the network takes it: (size, size, 3), fractions in [0, 255]."""
        import numpy as np
        from PIL import Image

        matrix = (photo.shape[1] / self.width, 0, 0, 0, photo.shape[0] / self.height, 0)
        shape, method = (self.width, self.height), Image.Transform.AFFINE
        bands = [
            Image.fromarray(photo[..., band]).convert("F").transform(shape, method, matrix, Image.Resampling.BILINEAR)
            for band in range(3)
        ]
        square = np.s_[self.top : self.top + self.size, self.left : self.left + self.size]
        return np.stack([np.asarray(band)[square] for band in bands], axis=-1)
