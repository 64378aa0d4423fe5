"""A folder: one sub-folder a class, such folders in train/, val/ and test/, or Food-101's official layout."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from switchpoint.data.sources.layouts import ignored, layout
from switchpoint.data.sources.source import Opened, Photo
from switchpoint.errors import DatasetError


def find(address: str) -> "Folder | None":
    """The folder at this address, if it is one."""
    path = Path(address).expanduser()
    return Folder(path) if path.is_dir() else None


class Folder:
    """See `source.Reader`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def paths(self) -> list[str]:
        """Every visible file, and the folders at the top, for one may be empty; relative, sorted."""

        def walk(folder: str, prefix: str) -> Iterator[str]:
            with os.scandir(folder) as found:
                for item in found:
                    if ignored(item.name):
                        continue
                    if not item.is_dir():
                        yield prefix + item.name
                        continue
                    if not prefix:
                        yield f"{item.name}/"
                    if prefix.count("/") < 3:  # deeper is nobody's layout, and a link may lead round in circles
                        yield from walk(item.path, f"{prefix}{item.name}/")

        try:
            return sorted(walk(str(self.root), ""))
        except OSError as error:
            raise DatasetError(f"{self.root} can't be read: {error}.") from error

    def digest(self) -> str:
        """Hex SHA-256 over paths and contents."""
        return digest_of(self.root, [path for path in self.paths() if not path.endswith("/")])

    def open(self) -> Opened:
        """Read the names, and the split from `meta/` where it is Food-101's layout."""

        def read(path: str) -> bytes:
            return (self.root / path).read_bytes()

        classes, entries, own, notes = layout(str(self.root), self.paths(), read)

        def photos() -> Iterator[Photo]:
            return (Photo(e.name, e.label, e.split, partial(read, e.path)) for e in entries)

        return Opened(classes, len(entries), photos, own, notes)


def digest_of(root: Path, paths: Sequence[str]) -> str:
    """Hex SHA-256 over the paths of files below a root, and their contents.

    Raises:
        DatasetError: One can't be read.
    """

    def one(path: str) -> str:
        with (root / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    total = hashlib.sha256()
    try:
        with ThreadPoolExecutor() as pool:
            for path, content in zip(paths, pool.map(one, paths), strict=True):
                total.update(os.fsencode(path) + f"\0{content}\n".encode())
    except OSError as error:
        raise DatasetError(f"{root} can't be read: {error}. Repair or remove that file.") from error
    return total.hexdigest()
