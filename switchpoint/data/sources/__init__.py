"""Where photos come from: one file a source, found by its address.

`sample`             drawn dishes
`tfds:NAME`          TensorFlow Datasets
`gs://BUCKET/NAME`   a folder or an archive as below, in object storage; `s3://BUCKET/NAME` and `minio://…` too
`pvc://CLAIM/PATH`   the same on a volume of the cluster
a `.tar.gz`          Food-101 as it is published, read as a stream
a `.csv`, `.parquet` paths and labels of photos, and where there is such a column their splits
a folder             one sub-folder a class; `train/`, `val/` and `test/` with such sub-folders; or Food-101's layout:
                     `images/CLASS/ID.jpg`, split and classes in `meta/`

A new source is a file here with `find(address)`, which gives a `source.Reader` or None, and its place in `SOURCES`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from switchpoint.data.sources import archive, bucket, folder, sample, table, tfds, volume
from switchpoint.data.sources.source import Opened, Photo, Reader
from switchpoint.errors import DatasetError

SOURCES = (sample, tfds, bucket, volume, table, archive, folder)  # the first that knows an address has it


@dataclass(frozen=True)
class Source:
    """A dataset's photos, with what is known of them before one is read."""

    opened: Opened
    digest: str

    @property
    def classes(self) -> list[str]:
        """Names in the order of labels."""
        return self.opened.classes

    @property
    def own(self) -> frozenset[str]:
        """The splits that are the dataset's own."""
        return self.opened.own

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know of them."""
        return self.opened.notes

    def __iter__(self) -> Iterator[Photo]:
        return self.opened.photos()

    def __len__(self) -> int:
        return self.opened.count


def find(address: str) -> Reader:
    """The dataset at an address, not yet opened.

    Raises:
        DatasetError: No source knows the address, or nothing is there.
    """
    readers: Iterator[Reader | None] = (source.find(address) for source in SOURCES)
    if found := next(filter(None, readers), None):
        return found
    what = "is a file, but no tar archive, CSV or Parquet" if Path(address).expanduser().is_file() else "does not exist"
    raise DatasetError(
        f"Dataset {address!r} {what}. Pass sample, a folder with one sub-folder a class, a CSV or Parquet "
        "file of paths and labels, Food-101 as a folder or .tar.gz, gs://…, s3://…, pvc://CLAIM/…, or tfds:NAME."
    )


def open_source(address: str, expected: str = "") -> Source:
    """Look into a dataset: read names and the splits that it has, take the digest.

    Args:
        address: See above.
        expected: The digest that it should have, if one is known: which of a volume's two is meant.

    Raises:
        DatasetError: Not there, fewer than two classes, a name that no model can hold, a class without a training
            photo, or files missing.
    """
    reader = find(address)
    opened = reader.open()
    if len(opened.classes) < 2:
        raise DatasetError(
            f"{address} has {len(opened.classes)} classes ({', '.join(opened.classes)}); a classifier needs two or "
            "more. Pass the folder that holds one sub-folder a class."
        )
    for name in opened.classes:
        if why := _unfit(name):
            raise DatasetError(f"{address}: the class {name!r} can't be kept in a model: {why}. Rename its folder.")
    return Source(opened, _digest(reader, expected))


def _unfit(name: str) -> str:
    """Why Keras' StringLookup, which keeps the classes' names in the model, would refuse a name; "" if it takes it."""
    if name == "[UNK]":
        return "Keras calls so what is of no class"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return ""


def _digest(reader: Reader, expected: str) -> str:
    found = reader.digest()
    if expected not in ("", found) and isinstance(reader, volume.Volume) and reader.contents() == expected:
        return expected
    return found


def digest(address: str, contents: bool = False) -> str:
    """Sha256 (hex) over what a dataset holds: paths and contents, or name and version of what has one.

    Args:
        address: See above.
        contents: Read a volume's files, where sizes and times of change are taken for them else.
    """
    reader = find(address)
    return reader.contents() if contents and isinstance(reader, volume.Volume) else reader.digest()
