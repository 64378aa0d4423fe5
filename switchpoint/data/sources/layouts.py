"""How photos lie below a root. The same for a folder, an archive and a bucket: only relative paths are seen."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from switchpoint.data.sources.source import Split
from switchpoint.errors import DatasetError

# By their names: nothing is read before it is known to be of use. AVIF are photos too, though none is decoded.
PHOTO = re.compile(r"\.(jpe?g|png|gif|webp|bmp|tiff?|p[bgpn]m|heic|heif|avif)$", re.IGNORECASE)
JUNK = {"Thumbs.db", "desktop.ini", "__MACOSX"}  # what file managers leave behind, beside hidden files


# A folder of these, with class folders inside, is a split.
SPLIT_FOLDERS: dict[str, Split] = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


class Entry(NamedTuple):
    """A photo: its path below the root, and what `source.Photo` says of it."""

    path: str
    name: str
    label: int
    split: Split


class Layout(NamedTuple):
    """What lies below a root: classes in order, photos sorted by name; `own` and `notes` are `source.Opened`'s."""

    classes: list[str]
    entries: list[Entry]
    own: frozenset[Split]
    notes: list[str]


def layout(where: str, paths: Iterable[str], read: Callable[[str], bytes]) -> Layout:
    """Tell how photos lie, of the visible ones of `paths`.

    Args:
        where: What errors call the root.
        paths: Below it; a folder's path ends in a slash.
        read: Gives a file's content.

    Raises:
        DatasetError: They lie in no way that is known, or a class has no training photo.
    """
    visible = {path for path in paths if not any(ignored(part) for part in path.split("/"))}
    files = {path for path in visible if not path.endswith("/")}
    tops = {path.split("/")[0] for path in visible if "/" in path}
    official = {"images", "meta"} <= tops
    if official:
        classes, entries = _food101(where, files, read)
        own = frozenset[Split](("train", "test"))
    elif "train" in tops and tops <= set(SPLIT_FOLDERS) and any(path.count("/") > 1 for path in files):
        classes, entries, own = _splits(where, files, tops)
    else:
        classes, entries = _classes(where, sorted(files), sorted(tops))
        own = frozenset()
    complete(where, classes, entries)
    return Layout(classes, entries, own, list(_unused(files, {entry.path for entry in entries}, official)))


def complete(where: str, classes: Sequence[str], entries: Iterable[Entry]) -> None:
    """See that each class has a photo to train with.

    Raises:
        DatasetError: One has none.
    """
    filled = {entry.label for entry in entries if entry.split == "train"}
    empty = [name for index, name in enumerate(classes) if index not in filled]
    if empty:
        raise DatasetError(
            f"{where}: no training photo in {len(empty)} classes, first {', '.join(map(repr, empty[:5]))}. "
            "Add photos there or remove the class."
        )


def _unused(files: set[str], used: set[str], official: bool) -> Iterator[str]:
    """What lies where no class is: beside class folders anything, for a photo's name may be any; else photos."""
    unused = sorted(files - used)
    photos = [path for path in unused if PHOTO.search(path)] if official else []
    for what, found in {
        "files lie beside the class folders: without a class": [] if official else unused,
        "photos lie beside the class folders: without a class": [path for path in photos if "/" not in path],
        "photos lie in images/ but not in meta/: without a split": [path for path in photos if path[:7] == "images/"],
    }.items():
        if found:
            first = ", ".join(map(repr, found[:3])) + (", …" if len(found) > 3 else "")
            yield f"{len(found)} {what} they are not used ({first})"


def ignored(part: str) -> bool:
    """Whether a file or folder of this name is nobody's photo."""
    return part.startswith(".") or part in JUNK


def _splits(where: str, files: set[str], tops: set[str]) -> tuple[list[str], list[Entry], frozenset[Split]]:
    if {"val", "validation"} <= tops:
        raise DatasetError(f"{where} has both val/ and validation/. Move the photos of one into the other.")
    photos = [path.split("/") for path in sorted(files) if path.count("/") > 1]
    for parts in photos:
        if len(parts) > 3:
            raise DatasetError(
                f"{where}: {'/'.join(parts)} lies too deep. Below {parts[0]}/ there is one folder a class, and in that "
                "its photos."
            )
    classes = sorted({name for _, name, _ in photos})
    label = {name: index for index, name in enumerate(classes)}
    entries = [Entry("/".join(parts), "/".join(parts), label[parts[1]], SPLIT_FOLDERS[parts[0]]) for parts in photos]
    return classes, entries, frozenset(entry.split for entry in entries)


def _classes(where: str, files: list[str], tops: list[str]) -> tuple[list[str], list[Entry]]:
    label = {name: index for index, name in enumerate(tops)}
    names = [(path, label[path.split("/")[0]]) for path in files if "/" in path]
    for path, _ in names:
        if path.count("/") > 1:
            raise DatasetError(
                f"{where}: {path} lies too deep. Photos lie directly in their class's folder; "
                "pass the folder that holds one sub-folder a class, or train/, val/ and test/ with such in each."
            )
    return tops, [Entry(name, name, index, "train") for name, index in names]


def _food101(where: str, files: set[str], read: Callable[[str], bytes]) -> tuple[list[str], list[Entry]]:
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
        Entry(f"images/{name}.jpg", f"{name}.jpg", label.get(name.split("/")[0], -1), split)
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
