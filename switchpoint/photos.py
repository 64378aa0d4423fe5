"""Photos as the model takes them, for programs that use one: with the pixels that training saw. Needs Pillow and NumPy.

from switchpoint.photos import read
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from switchpoint.data.photos import decode

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray


def read(photo: str | os.PathLike[str] | bytes) -> NDArray[np.uint8]:
    """Read a photo as prepare does: upright (EXIF), transparency on white, 16 bits scaled to 8.

    Args:
        photo: A file's path, or its content: JPEG, PNG, GIF, WebP, BMP, TIFF, PPM or HEIC.

    Returns:
        uint8 (height, width, 3), RGB; `model.predict(read("photo.jpg")[None])` is a batch of one.

    Raises:
        UnreadablePhotoError: It can't be decoded; the message is the reason.
        OSError: There is no such file.
    """
    import numpy as np

    return np.array(decode(photo if isinstance(photo, bytes) else Path(photo).read_bytes()))
