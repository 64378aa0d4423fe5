"""Where photos come from.

`sample`             drawn dishes, see switchpoint/data/sources/dishes.py
a folder             one sub-folder a class
a folder             the official Food-101 layout: `images/CLASS/ID.jpg`, split and class order in `meta/`
a `.tar.gz`          that layout as it is published, read as a stream
`gs://BUCKET/NAME`   any of these folders or the archive, in object storage
`tfds:NAME`          TensorFlow Datasets
"""

import hashlib
import json
import os
import tarfile
import tempfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, Protocol

from switchpoint import storage
from switchpoint.data.sources import dishes as sample
from switchpoint.errors import DatasetError

Split = Literal["train", "test"]

TEST_FRACTION = 0.2  # of each class, where the dataset has no official test split
JUNK = {"Thumbs.db", "desktop.ini", "__MACOSX"}  # what file managers leave behind, beside hidden files
PHOTO_BYTES = 256 << 20  # an archive's member beyond this is refused: it would be read into memory whole


@dataclass(frozen=True)
class Photo:
    """One photo, unread.

    Attributes:
        name: `class/file`, unique in its dataset.
        label: In [0, classes).
        split: The official one, or the one cut here.
        read: Gives the original bytes; raises OSError.
    """

    name: str
    label: int
    split: Split
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Source:
    """A dataset's photos, in an order that depends on nothing but its content.

    Attributes:
        classes: Names in the order of labels.
        count: Number of photos.
        photos: Starts an iteration; a photo of a stream is in memory until it is dropped.
        digest: See `digest`.
    """

    classes: list[str]
    count: int
    photos: Callable[[], Iterator[Photo]]
    digest: str

    def __iter__(self) -> Iterator[Photo]:
        return self.photos()

    def __len__(self) -> int:
        return self.count


class _Reader(Protocol):
    def digest(self) -> str: ...

    def open(self, seed: int) -> tuple[list[str], int, Callable[[], Iterator[Photo]]]: ...


def _reader(dataset: str) -> _Reader:
    """The one place that knows which kind of dataset a string names."""
    if dataset == "sample":
        return _Sample()
    if dataset.startswith("tfds:"):
        return _Tfds(dataset)
    if storage.is_remote(dataset):
        return _Bucket(dataset)
    path = Path(dataset).expanduser()
    if path.is_file() and tarfile.is_tarfile(path):
        return _Archive(path)
    if path.is_dir():
        return _Folder(path)
    found = "is a file, but no tar archive" if path.is_file() else "does not exist"
    raise DatasetError(
        f"Dataset {dataset!r} {found}. Pass sample, a folder with one sub-folder a class, "
        "Food-101 as a folder or .tar.gz, gs://…, or tfds:NAME."
    )


def open_source(dataset: str, seed: int) -> Source:
    """Look into a dataset: read names, cut a test split if there is no official one, take the digest.

    Args:
        dataset: What `switchpoint.data.sources.sources` lists.
        seed: Decides the test split that is cut.

    Raises:
        DatasetError: Not there, fewer than two classes, a class without a training photo, or files missing.
    """
    reader = _reader(dataset)
    classes, count, photos = reader.open(seed)
    if len(classes) < 2:
        raise DatasetError(
            f"{dataset} has {len(classes)} classes ({', '.join(classes)}); a classifier needs two or more. "
            "Pass the folder that holds one sub-folder a class."
        )
    return Source(classes, count, photos, reader.digest())


def digest(dataset: str) -> str:
    """Sha256 (hex) over what the dataset holds: paths and contents, or name and version of what has one."""
    return _reader(dataset).digest()


def draw(seed: int, name: str) -> bytes:
    """A number drawn for a photo that depends on nothing else: sort by it to shuffle, take the first to sample."""
    return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()


def cut(names: Iterable[tuple[str, int]], fraction: float, seed: int) -> set[str]:
    """Choose `fraction` of each class: seeded, at least one, never all; none of a class that has only one."""
    by_class: dict[int, list[str]] = defaultdict(list)
    for name, label in names:
        by_class[label].append(name)
    chosen: set[str] = set()
    for members in by_class.values():
        members.sort(key=partial(draw, seed))
        chosen.update(members[: min(max(1, round(len(members) * fraction)), len(members) - 1)])
    return chosen


# Layouts: the same for a folder, an archive and a bucket, for they see only relative paths.


class _Entry(NamedTuple):
    path: str
    name: str
    label: int
    split: Split


def _layout(
    where: str, paths: Iterable[str], read: Callable[[str], bytes], seed: int
) -> tuple[list[str], list[_Entry]]:
    """Classes in order and photos sorted by name, of the visible ones of `paths`; a folder's path ends in a slash."""
    visible = {path for path in paths if not any(_ignored(part) for part in path.split("/"))}
    files = {path for path in visible if not path.endswith("/")}
    tops = {path.split("/")[0] for path in visible if "/" in path}
    official = {"images", "meta"} <= tops
    classes, entries = _food101(where, files, read) if official else _classes(where, sorted(files), sorted(tops), seed)
    filled = {entry.label for entry in entries if entry.split == "train"}
    empty = [name for index, name in enumerate(classes) if index not in filled]
    if empty:
        raise DatasetError(
            f"{where}: no training photo in {len(empty)} classes, first {', '.join(map(repr, empty[:5]))}. "
            "Add photos there or remove the class."
        )
    return classes, entries


def _ignored(part: str) -> bool:
    return part.startswith(".") or part in JUNK


def _classes(where: str, files: list[str], tops: list[str], seed: int) -> tuple[list[str], list[_Entry]]:
    label = {name: index for index, name in enumerate(tops)}
    names = [(path, label[path.split("/")[0]]) for path in files if "/" in path]
    for path, _ in names:
        if path.count("/") > 1:
            raise DatasetError(
                f"{where}: {path} lies too deep. Photos lie directly in their class's folder; "
                "pass the folder that holds one sub-folder a class."
            )
    test = cut(names, TEST_FRACTION, seed)
    return tops, [_Entry(name, name, index, "test" if name in test else "train") for name, index in names]


def _food101(where: str, files: set[str], read: Callable[[str], bytes]) -> tuple[list[str], list[_Entry]]:
    def text(path: str) -> str:
        if path not in files:
            raise DatasetError(f"{where}: {path} is missing. Food-101's meta folder gives the split and the classes.")
        try:
            return read(path).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DatasetError(f"{where}: {path} is not UTF-8 text ({error}).") from error

    def lines(path: str) -> list[str]:
        return [line.strip() for line in text(path).splitlines() if line.strip()]

    def listed(split: str) -> list[str]:
        if f"meta/{split}.txt" in files or f"meta/{split}.json" not in files:
            return lines(f"meta/{split}.txt")
        try:
            return [str(name) for names in json.loads(text(f"meta/{split}.json")).values() for name in names]
        except (ValueError, AttributeError, TypeError) as error:
            raise DatasetError(f"{where}: meta/{split}.json is not an object of lists ({error}).") from error

    classes = lines("meta/classes.txt")
    label = {name: index for index, name in enumerate(classes)}
    if len(label) < len(classes):
        raise DatasetError(f"{where}: meta/classes.txt names a class twice.")
    splits: tuple[Split, Split] = ("train", "test")
    entries = [
        _Entry(f"images/{name}.jpg", f"{name}.jpg", label.get(name.split("/")[0], -1), split)
        for split in splits
        for name in listed(split)
    ]
    for problem, bad in {
        "missing files": [e.path for e in entries if e.path not in files],
        "photos of classes that meta/classes.txt does not name": [e.path for e in entries if e.label < 0],
        "photos more than once": [path for path, times in Counter(e.path for e in entries).items() if times > 1],
    }.items():
        if bad:
            raise DatasetError(
                f"{where}: meta lists {len(bad)} {problem}, first {', '.join(sorted(bad)[:5])}. "
                "Fetch the dataset again."
            )
    return classes, sorted(entries, key=lambda entry: entry.name)


class _Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def _paths(self) -> list[str]:
        """Every visible file, and the folders at the top, for one may be empty; relative, sorted."""

        def walk(folder: str, prefix: str) -> Iterator[str]:
            with os.scandir(folder) as found:
                for item in found:
                    if _ignored(item.name):
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
        def one(path: str) -> str:
            with (self.root / path).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        paths = [path for path in self._paths() if not path.endswith("/")]
        total = hashlib.sha256()
        try:
            with ThreadPoolExecutor() as pool:
                for path, content in zip(paths, pool.map(one, paths), strict=True):
                    total.update(os.fsencode(path) + f"\0{content}\n".encode())
        except OSError as error:
            raise DatasetError(f"{self.root} can't be read: {error}. Repair or remove that file.") from error
        return total.hexdigest()

    def open(self, seed: int) -> tuple[list[str], int, Callable[[], Iterator[Photo]]]:
        def read(path: str) -> bytes:
            return (self.root / path).read_bytes()

        classes, entries = _layout(str(self.root), self._paths(), read, seed)
        return (
            classes,
            len(entries),
            lambda: (Photo(e.name, e.label, e.split, partial(read, e.path)) for e in entries),
        )


class _Archive:
    """Food-101 as published: `food-101/…` in a .tar.gz. Nothing is extracted: members are read as they pass by."""

    TOP = "food-101/"

    def __init__(self, path: Path) -> None:
        self.path = path

    def digest(self) -> str:
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

    def open(self, seed: int) -> tuple[list[str], int, Callable[[], Iterator[Photo]]]:
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
        classes, entries = _layout(str(self.path), paths, meta.__getitem__, seed)
        by_path = {entry.path: entry for entry in entries}

        def photos() -> Iterator[Photo]:
            for path, read in self._members():
                if entry := by_path.get(path):
                    content = read()
                    yield Photo(entry.name, entry.label, entry.split, lambda content=content: content)  # type: ignore[misc]

        return classes, len(entries), photos


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""


class _Tfds:
    """Splits train + test, or train + validation; where there is only train, a test split is cut."""

    def __init__(self, dataset: str) -> None:
        try:
            import tensorflow_datasets as tfds
        except ImportError as error:
            raise DatasetError(f"{dataset} needs the package tensorflow-datasets ({error}). Install it.") from error
        try:
            self.builder = tfds.builder(dataset.removeprefix("tfds:"))
        except Exception as error:  # unknown name, version, configuration: its own classes, with a telling first line
            raise DatasetError(f"{dataset}: {str(error).strip().splitlines()[0]}") from error
        self.dataset = dataset

    def digest(self) -> str:
        return hashlib.sha256(f"tfds:{self.builder.info.full_name}".encode()).hexdigest()

    def open(self, seed: int) -> tuple[list[str], int, Callable[[], Iterator[Photo]]]:
        import tensorflow_datasets as tfds

        info = self.builder.info
        if not {"image", "label"} <= set(info.features or ()) or not hasattr(info.features["label"], "names"):
            raise DatasetError(f"{self.dataset} has no image and label features. Pass a classification dataset.")
        try:
            self.builder.download_and_prepare()
        except Exception as error:  # network, disk, checksum, a manual download: say what it says
            reason = str(error).strip().splitlines()[:1]
            raise DatasetError(f"{self.dataset} can't be downloaded or prepared: {''.join(reason)}.") from error
        held_out = next((name for name in ("test", "validation") if name in info.splits), None)
        splits: dict[str, Split] = {"train": "train", **({held_out: "test"} if held_out else {})}
        missing = set(splits) - set(info.splits)
        if missing:
            raise DatasetError(f"{self.dataset} has splits {sorted(info.splits)}; train is needed.")
        classes: list[str] = list(info.features["label"].names)

        def rows(split: str) -> Iterator[tuple[str, int, Any]]:
            data = self.builder.as_dataset(
                split=split, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False
            )
            for index, row in enumerate(data.as_numpy_iterator()):
                label = int(row["label"])
                if not 0 <= label < len(classes):
                    raise DatasetError(f"{self.dataset}: label {label} in {split} is not in [0, {len(classes)}).")
                yield f"{classes[label]}/{split}-{index:07d}", label, row["image"]

        test = set() if held_out else cut(((name, label) for name, label, _ in rows("train")), TEST_FRACTION, seed)

        def photos() -> Iterator[Photo]:
            for split, role in splits.items():
                for name, label, image in rows(split):
                    yield Photo(name, label, "test" if name in test else role, partial(bytes, image))

        return classes, sum(info.splits[split].num_examples for split in splits), photos


class _Bucket:
    """A folder or an archive in object storage, fetched once to a temporary place and read there."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.fetched = ""

    def digest(self) -> str:
        return self.fetched or storage.digest(self.uri)

    def open(self, seed: int) -> tuple[list[str], int, Callable[[], Iterator[Photo]]]:
        self.place = tempfile.TemporaryDirectory()
        target = Path(self.place.name, PurePosixPath(self.uri).name)
        self.fetched = storage.download(self.uri, target)
        classes, count, photos = _reader(str(target)).open(seed)
        place = self.place  # kept for as long as the photos may be read
        return classes, count, lambda: (photo for _ in [place] for photo in photos())


class _Sample:
    def digest(self) -> str:
        return hashlib.sha256(f"sample {sample.VERSION}".encode()).hexdigest()

    def open(self, seed: int) -> tuple[list[str], int, Callable[[], Iterator[Photo]]]:
        entries: list[tuple[str, int, Split]] = [
            (f"{dish}/{split}-{index:03d}.jpg", label, split)
            for label, dish in enumerate(sample.DISHES)
            for split, count in sample.PHOTOS.items()
            for index in range(count)
        ]
        photos = [Photo(*entry, partial(sample.photograph, entry[0])) for entry in sorted(entries)]
        return list(sample.DISHES), len(photos), lambda: iter(photos)
