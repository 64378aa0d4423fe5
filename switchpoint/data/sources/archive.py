"""Food-101 as published: `food-101/…` in a .tar.gz. Nothing is extracted: members are read as they pass by."""

import hashlib
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from switchpoint.data.sources.layouts import layout
from switchpoint.data.sources.source import Opened, Photo
from switchpoint.errors import DatasetError

PHOTO_BYTES = 256 << 20  # a member beyond this is refused: it would be read into memory whole


def find(address: str) -> "Archive | None":
    """The archive at this address, if it is one."""
    path = Path(address).expanduser()
    return Archive(path) if path.is_file() and tarfile.is_tarfile(path) else None


class Archive:
    """See `source.Reader`."""

    TOP = "food-101/"

    def __init__(self, path: Path) -> None:
        self.path = path

    def digest(self) -> str:
        """Hex SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _members(self) -> Iterator[tuple[str, Callable[[], bytes]]]:
        """Each file's path below the top folder, and its content: to be read before the next file is asked for."""
        try:
            with tarfile.open(self.path, "r|gz") as archive:
                while (member := archive.next()) is not None:
                    archive.members.clear()  # type: ignore[attr-defined]  # or it keeps all of them
                    path = PurePosixPath(member.name)
                    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
                        raise DatasetError(
                            f"{self.path}: refused member {member.name!r}: an absolute path, '..', a link or a device. "
                            "This is not the official archive."
                        )
                    if not member.isfile() or not str(path).startswith(self.TOP):
                        continue
                    if member.size > PHOTO_BYTES:
                        raise DatasetError(f"{self.path}: refused member {member.name!r}: {member.size} bytes.")
                    yield str(path)[len(self.TOP) :], partial(_content, archive, member)
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise DatasetError(f"{self.path} can't be read to its end ({error}). Fetch it again.") from error

    def open(self) -> Opened:
        """Read the archive once for its names and its `meta/`."""
        paths: list[str] = []
        meta: dict[str, bytes] = {}
        for path, read in self._members():
            paths.append(path)
            if path.startswith("meta/"):
                meta[path] = read()
        if len(set(paths)) < len(paths):
            twice = next(path for path, times in Counter(paths).items() if times > 1)
            raise DatasetError(f"{self.path}: holds {twice} twice. This is not the official archive.")
        if not meta:
            raise DatasetError(
                f"{self.path}: no {self.TOP}meta/ in it. Only Food-101's official archive is read; "
                "extract others and pass the folder that holds one sub-folder a class."
            )
        classes, entries, own, notes = layout(str(self.path), paths, meta.__getitem__)
        by_path = {entry.path: entry for entry in entries}

        def photos() -> Iterator[Photo]:
            for path, read in self._members():
                if entry := by_path.get(path):
                    content = read()
                    yield Photo(entry.name, entry.label, entry.split, lambda content=content: content)  # type: ignore[misc]

        return Opened(classes, len(entries), photos, own, notes)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""
