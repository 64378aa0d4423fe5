"""Photos as the model takes them, for programs that use one: with the pixels that training saw. Needs Pillow and NumPy.

from switchpoint.photos import read
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from switchpoint.data.photos import decode
from switchpoint.errors import NoPhotosError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


def files(given: Iterable[str]) -> list[str]:
    """Photos and the files of folders, in order; hidden ones are left out.

    Raises:
        NoPhotosError: One is not there, or a folder has no file.
    """
    found = []
    for each in given:
        path = Path(each)
        if path.is_dir():
            inside = sorted(_visible(path))
            if not inside:
                raise NoPhotosError(f"{each} has no files. Give photos, or folders of photos.")
            found += inside
        elif path.is_file():
            found.append(str(path))
        else:
            raise NoPhotosError(f"{each} is not there. Give photos, or folders of photos.")
    return found


def _visible(folder: Path) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(place, name) for name in names if not name.startswith("."))  # noqa: PTH118
