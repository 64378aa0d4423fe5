"""A table of photos: a CSV or Parquet file of paths and labels, with the photos beside it or below its folder."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from switchpoint.data.sources.folder import digest_of
from switchpoint.data.sources.layouts import Entry, complete
from switchpoint.data.sources.source import Opened, Photo
from switchpoint.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from switchpoint.data.sources.source import Split

SUFFIXES = (".csv", ".parquet")
# What the columns may be called, in any case; the first that is there counts.
PATH = ("path", "file", "filename", "file_name", "photo", "image", "image_path")
LABEL = ("label", "class", "category")
SPLIT = ("split", "set", "subset")
SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def find(address: str) -> Table | None:
    """The table at this address, if it is one."""
    path = Path(address).expanduser()
    return Table(path) if path.suffix.lower() in SUFFIXES and path.is_file() else None


class Table:
    """See `source.Reader`."""

    def __init__(self, path: Path) -> None:
        self.path, self.root = path, path.parent

    def paths(self) -> list[str]:
        """The table, and the photos that it lists; relative to its folder."""
        return [self.path.name, *(path for path, _, _ in self._rows())]

    def digest(self) -> str:
        """Hex SHA-256 over the table's content, and the photos' paths and contents."""
        return digest_of(self.root, self.paths())

    def open(self) -> Opened:
        """Read the table; look whether its photos are there."""
        rows = self._rows()
        classes = sorted({label for _, label, _ in rows})
        index = {label: number for number, label in enumerate(classes)}
        own = frozenset(split for _, _, split in rows if split)
        entries = [Entry(path, path, index[label], split or "train") for path, label, split in sorted(rows)]
        complete(str(self.path), classes, entries)

        def photos() -> Iterator[Photo]:
            return (Photo(e.name, e.label, e.split, partial((self.root / e.path).read_bytes)) for e in entries)

        return Opened(classes, len(entries), photos, own)

    def _rows(self) -> list[tuple[str, str, Split | None]]:
        """Path, label and split of each photo.

        Raises:
            DatasetError: It can't be read, a column is missing, or a row is not of a photo that is there.
        """
        named = self._read()
        columns = {name.lower(): name for name in named[0]} if named else {}
        found = [next((columns[name] for name in names if name in columns), None) for names in (PATH, LABEL, SPLIT)]
        path, label, split = found
        if path is None or label is None:
            missing, names = ("paths", PATH) if path is None else ("labels", LABEL)
            raise DatasetError(
                f"{self.path} has no column of {missing}: its columns are {', '.join(columns.values()) or 'none'}. "
                f"Call one {names[0]} (or {', '.join(names[1:])})."
            )
        rows = [(str(row[path]), _text(row[label]), self._split(row, split)) for row in named]
        seen = set[str]()
        for number, (name, told, _) in enumerate(rows, start=1):
            if why := self._wrong(name, told, seen):
                raise DatasetError(f"{self.path}, photo {number} ({name!r}): {why}")
            seen.add(name)
        return rows

    def _read(self) -> Sequence[Mapping[str, Any]]:
        try:
            if self.path.suffix.lower() == ".csv":
                with self.path.open(encoding="utf-8-sig", newline="") as file:
                    return self._full(csv.DictReader(file, restval=""))
            from pyarrow import parquet

            rows: list[dict[str, Any]] = parquet.read_table(self.path).to_pylist()
        except (OSError, ValueError, csv.Error) as error:  # UnicodeDecodeError and pyarrow's are ValueErrors
            raise DatasetError(f"{self.path} can't be read as a table: {error}.") from error
        return rows

    def _full(self, reader: csv.DictReader[str]) -> list[dict[str, Any]]:
        """All rows; what has more cells than there are columns may have its label in the wrong one."""
        rows = []
        for number, row in enumerate(reader, start=1):
            if None in row:
                raise DatasetError(
                    f"{self.path}, photo {number}: it has more cells than the table has columns. Put quotation marks "
                    "around what has a comma in it, or remove what is too much."
                )
            rows.append(dict(row))
        return rows

    def _split(self, row: Mapping[str, Any], column: str | None) -> Split | None:
        if column is None:
            return None
        told = str(row[column]).strip().lower()
        if told not in SPLITS:
            raise DatasetError(
                f"{self.path}: the {column} {row[column]!r} is none: give one of {', '.join(SPLITS)} in each row."
            )
        return SPLITS[told]

    def _wrong(self, name: str, label: str, seen: set[str]) -> str:
        """What is wrong with a row, and what to do; "" if nothing is."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or str(path) != name:
            return f"write its path below {self.root}, where the table is, as in photos/1.jpg."
        if not label:
            return "it has no label. Give it one, or remove the row."
        if name in seen:
            return "it is there twice. Remove a row."
        return "" if (self.root / name).is_file() else f"there is no such file below {self.root}."


def _text(value: Any) -> str:
    """A cell's text without spaces around it; "" of one that holds nothing."""
    return "" if value is None else str(value).strip()
