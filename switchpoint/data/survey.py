"""What a dataset holds: its readable photos, the split, what is left out, and photos that are there more than once."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import IO, TYPE_CHECKING, NamedTuple, TypeVar

from switchpoint.cores import cores
from switchpoint.data.converters import Converters
from switchpoint.data.duplicates import Groups, near, read_prints
from switchpoint.data.manifest import SPLITS
from switchpoint.data.photos import quality
from switchpoint.data.records import Example
from switchpoint.data.split import cut
from switchpoint.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from switchpoint.data.sources import Source
    from switchpoint.data.sources.source import Photo
    from switchpoint.documents.records import Duplicates, LeftOut

T = TypeVar("T")
R = TypeVar("R")


class Kept(NamedTuple):
    """A readable photo: its record's image lies in the spool at `offset`, its print is the one of that number."""

    name: str
    label: int
    split: str
    content: bytes  # sha256 of the original bytes
    number: int
    offset: int
    length: int


@dataclass(frozen=True)
class Survey:
    """A dataset's photos.

    Attributes:
        photos: The readable ones, sorted by name, each in its split.
        left_out: The others, and why.
        duplicates: Those of `photos` that are there more than once.
    """

    photos: list[Kept]
    left_out: list[LeftOut]
    duplicates: list[Duplicates]


def survey(
    source: Source,
    validation_fraction: float,
    seed: int,
    spool: IO[bytes],
    prints: IO[bytes],
    tell: Callable[[Progress], None],
    size: tuple[int, int] | None = None,
    workers: int | None = None,
) -> Survey:
    """Read every photo once, in the source's order.

    The images are spooled to disk, for a stream can't be shuffled, and what is left out is known only at the end.

    Args:
        source: The dataset.
        validation_fraction: Of the training photos, held out where the dataset has no validation split.
        seed: Decides which, and which are test photos where it has no test split.
        spool: Where records' images are written.
        prints: Where what finds duplicates is written.
        tell: Told how far it is, every two seconds.
        size: Height and width of records' images; None: none are made.
        workers: Processes that decode; None: as many as it may use cores.
    """

    def convert(photo: Photo) -> tuple[Photo, bytes, bytes, bytes, str]:
        try:
            data = photo.read()
        except OSError as error:
            return photo, b"", b"", b"", f"can't be read: {error.strerror}"
        content = hashlib.sha256(data).digest()
        if photo.split == "train":
            photo = replace(photo, split=cut(content, source.own, validation_fraction, seed))
        return photo, content, *converters.convert(data, quality(photo.split))

    kept: list[Kept] = []
    left_out: list[LeftOut] = []
    offset, start, said = 0, time.monotonic(), 0.0
    with Converters(size) as converters:
        found = _in_order(convert, source, workers or cores())
        for done, (photo, content, image, fingerprint, reason) in enumerate(found, start=1):
            if reason:
                left_out.append({"photo": photo.name, "reason": reason})
            else:
                spool.write(image)
                prints.write(fingerprint)
                kept.append(Kept(photo.name, photo.label, photo.split, content, len(kept), offset, len(image)))
                offset += len(image)
            now = time.monotonic() - start
            if now - said >= 2 or done == len(source):
                said = now
                tell(Progress("photos", done, len(source), round(now / done * (len(source) - done))))
    photos = sorted(kept)
    left_out.sort(key=lambda entry: entry["photo"])
    return Survey(photos, left_out, _duplicates(photos, prints))


def examples(spool: IO[bytes], photos: Iterable[Kept]) -> Iterator[Example]:
    """Photos as they lie in the spool of a survey that made images."""
    for photo in photos:
        spool.seek(photo.offset)
        yield Example(spool.read(photo.length), photo.label, photo.name)


def _in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Map over threads, results in order, never more than a few items a worker in memory."""
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _duplicates(photos: list[Kept], prints: IO[bytes]) -> list[Duplicates]:
    """The same photo under two labels, in two splits, or twice in a class and split.

    The first confuses training, the second flatters the result, the third only counts a photo twice.
    """
    import numpy as np

    index = {photo.number: place for place, photo in enumerate(photos)}
    by_content: dict[bytes, list[int]] = defaultdict(list)
    for photo in photos:
        by_content[photo.content].append(photo.number)
    firsts = np.array(sorted(same[0] for same in by_content.values()))
    pairs = near(read_prints(prints, len(photos)), firsts)
    pairs += [pair for same in by_content.values() for pair in pairwise(same)]
    groups = Groups(len(photos))
    for one, other in pairs:
        groups.join(index[one], index[other])
    found: list[Duplicates] = []
    for group in groups.several():
        same = [photos[index] for index in group]
        if len({photo.label for photo in same}) > 1:
            found.append(_told(same, "across classes"))
        if len({photo.split for photo in same}) > 1:
            found.append(_told(same, "across splits"))
        for place in sorted({(photo.label, photo.split) for photo in same}):
            twice = [photo for photo in same if (photo.label, photo.split) == place]
            if len(twice) > 1:
                found.append(_told(twice, "within a class"))
    return found


def _told(same: Sequence[Kept], kind: str) -> Duplicates:
    exact = len({photo.content for photo in same}) == 1
    return {"photos": [photo.name for photo in same], "kind": kind, "exact": exact}


def dropped(photos: Sequence[Kept], duplicates: Sequence[Duplicates]) -> list[LeftOut]:
    """Which copies to leave out so that no photo is in two splits or two classes, and why.

    Of a photo in several splits the copies of the last, of train, validation and test, stay; of a photo in several
    classes none does: which label is right nobody knows.
    """
    split = {photo.name: photo.split for photo in photos}
    reasons: dict[str, str] = {}
    for entry in duplicates:
        if entry["kind"] == "across splits":
            last = max(entry["photos"], key=lambda name: SPLITS.index(split[name]))
            for name in entry["photos"]:
                if split[name] != split[last]:
                    reasons.setdefault(name, f"a copy of {last}, which is in {split[last]}")
    for entry in duplicates:
        if entry["kind"] == "across classes":
            for name in entry["photos"]:
                others = ", ".join(other for other in entry["photos"] if other != name)
                reasons[name] = f"its label is in doubt: another class has a copy ({others})"
    return [{"photo": name, "reason": reason} for name, reason in sorted(reasons.items())]


def leaked(photos: Sequence[Kept], duplicates: Sequence[Duplicates]) -> set[str]:
    """Test photos of which train or validation has a copy, too, among `photos`."""
    split = {photo.name: photo.split for photo in photos}
    found = set[str]()
    for entry in duplicates:
        names = [name for name in entry["photos"] if name in split]
        if len({split[name] for name in names}) > 1:
            found |= {name for name in names if split[name] == "test"}
    return found
