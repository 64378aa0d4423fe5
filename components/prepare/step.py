"""prepare: photos, wherever they are -> records at the size that training crops from."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections import Counter, defaultdict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, NamedTuple, TypeVar

from components.prepare import page
from switchpoint.config import Config
from switchpoint.cores import cores
from switchpoint.data.converters import Converters
from switchpoint.data.manifest import SPLITS, write_manifest, writing
from switchpoint.data.photos import quality, record_size
from switchpoint.data.records import Example, write_split
from switchpoint.data.sources import Source, open_source
from switchpoint.data.split import cut, draw
from switchpoint.errors import DatasetError
from switchpoint.files import write_json, write_text
from switchpoint.progress import Progress, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from switchpoint.data.sources.source import Photo
    from switchpoint.documents import Duplicates, LeftOut, Manifest
    from switchpoint.documents import Source as SourceDocument

SAID = 100  # photos left out that the log names

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class PrepareConfig(Config):
    """What decides the records' content; pipeline.py says what each is, and in which unit."""

    dataset: str
    dataset_digest: str
    image_size: int
    validation_fraction: float
    max_left_out: float
    seed: int


class Outputs(NamedTuple):
    """What to write.

    Attributes:
        records: Directory: see switchpoint/data/manifest.py; nothing is left there unless all went well.
        source: JSON: a `documents.Source`.
        look: HTML: counts, what was left out and why, duplicates, some photos.
    """

    records: Path
    source: Path
    look: Path


class _Kept(NamedTuple):
    """A readable photo: its record's image lies in the spool at `offset`."""

    name: str
    label: int
    split: str
    content: bytes  # sha256 of the original bytes
    offset: int
    length: int


def prepare(outputs: Outputs, config: PrepareConfig, workers: int | None = None) -> Manifest:
    """Write records of a dataset's photos: validation cut from train, training photos in a seeded order.

    The same photos and seed give the same bytes, however many workers there are.

    Args:
        outputs: What to write.
        config: Which photos, which size, which seed.
        workers: Processes that decode; None: as many as it may use cores.

    Returns:
        The records' manifest.

    Raises:
        DatasetError: Not there, not what `dataset_digest` says, too many photos are unreadable, or too few are left to
            train, validate and test.
    """
    photos = open_source(config.dataset, config.seed, config.dataset_digest)
    if config.dataset_digest and photos.digest != config.dataset_digest:
        raise DatasetError(
            f"{config.dataset} is not what dataset_digest says: expected {config.dataset_digest}, "
            f"found {photos.digest}. Start the run anew from the command, or leave dataset_digest empty."
        )
    for note in photos.notes:
        say("prepare", f"{config.dataset}: {note}")
    with writing(outputs.records) as directory, tempfile.TemporaryFile(dir=directory.parent) as spool:
        kept, left_out = _decode_all(photos, config, spool, workers or cores())
        _say_left_out(left_out)
        _check_left_out(left_out, len(photos), photos.classes, kept, config)
        kept = _held_out(kept, config)
        _check_splits(kept, photos.classes, config)
        splits = {split: [photo for photo in kept if photo.split == split] for split in SPLITS}
        splits["train"].sort(key=lambda photo: draw(config.seed, photo.name))

        def examples(chosen: list[_Kept]) -> Iterator[Example]:
            for photo in chosen:
                spool.seek(photo.offset)
                yield Example(spool.read(photo.length), photo.label, photo.name)

        height, width = record_size(config.image_size)
        manifest = write_manifest(
            directory,
            {
                "classes": photos.classes,
                "image_height": height,
                "image_width": width,
                "image_size": config.image_size,
                "splits": {
                    split: write_split(directory, split, examples(chosen), len(chosen), len(photos.classes))
                    for split, chosen in splits.items()
                },
                "left_out": left_out,
                "duplicates": _duplicates(kept),
                "source": {"dataset": config.dataset, "digest": photos.digest},
                "seed": config.seed,
            },
        )
        thumbnails = page.thumbnails(examples(_one_a_class(splits["train"])), photos.classes)
        write_text(outputs.look, page.html(manifest, thumbnails))
        source: SourceDocument = {
            **manifest["source"],
            "classes": len(photos.classes),
            "photos": len(photos),
            "left_out": len(left_out),
            "duplicates": dict(Counter(same["kind"] for same in manifest["duplicates"])),
        }
        write_json(outputs.source, source)
    return manifest


def _held_out(kept: list[_Kept], config: PrepareConfig) -> list[_Kept]:
    """The same photos, validation cut from train."""
    trained = ((photo.name, photo.label) for photo in kept if photo.split == "train")
    validation = cut(trained, config.validation_fraction, config.seed)
    return [photo._replace(split="validation") if photo.name in validation else photo for photo in kept]


def _decode_all(
    photos: Source, config: PrepareConfig, spool: IO[bytes], workers: int
) -> tuple[list[_Kept], list[LeftOut]]:
    """Decode, resize and encode every photo once, in the source's order.

    They are spooled to disk, for a stream can't be shuffled, and what is left out is known only at the end.
    """
    height, width = record_size(config.image_size)

    def convert(photo: Photo) -> tuple[Photo, bytes, bytes, str]:
        try:
            data = photo.read()
        except OSError as error:
            return photo, b"", b"", f"can't be read: {error.strerror}"
        return photo, hashlib.sha256(data).digest(), *converters.convert(data, quality(photo.split))

    kept: list[_Kept] = []
    left_out: list[LeftOut] = []
    offset, start, said = 0, time.monotonic(), 0.0
    with Converters(height, width) as converters:
        for done, (photo, content, image, reason) in enumerate(_in_order(convert, photos, workers), start=1):
            if reason:
                left_out.append({"photo": photo.name, "reason": reason})
            else:
                spool.write(image)
                kept.append(_Kept(photo.name, photo.label, photo.split, content, offset, len(image)))
                offset += len(image)
            now = time.monotonic() - start
            if now - said >= 2 or done == len(photos):
                said = now
                left = round(now / done * (len(photos) - done))
                say("prepare", Progress("photos", done, len(photos), left))
    return sorted(kept), sorted(left_out, key=lambda entry: entry["photo"])


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


def _say_left_out(left_out: list[LeftOut]) -> None:
    """In the log, one a line: a name is data, and may hold line breaks or be no UTF-8."""
    for entry in left_out[:SAID]:
        say("prepare", f"left out {entry['photo']!r}: {entry['reason']}")
    if len(left_out) > SAID:
        say("prepare", f"left out {len(left_out) - SAID} more; the manifest and the look at the data name all")


def _check_left_out(
    left_out: list[LeftOut], count: int, classes: list[str], kept: list[_Kept], config: PrepareConfig
) -> None:
    trained = {photo.label for photo in kept if photo.split == "train"}
    lost = [name for label, name in enumerate(classes) if label not in trained]
    if not lost and len(left_out) <= config.max_left_out * count:
        return
    worst = Counter(entry["photo"].split("/")[0] for entry in left_out).most_common(5)
    what = f"no training photo is left of {', '.join(map(repr, lost[:5]))}; " if lost else ""
    raise DatasetError(
        f"{config.dataset}: {what}{len(left_out)} of {count} photos are unreadable, "
        f"{int(config.max_left_out * count)} may be (max_left_out={config.max_left_out}). "
        f"Most of them in {', '.join(f'{name} ({times})' for name, times in worst)}; first: "
        + "; ".join(f"{entry['photo']} ({entry['reason']})" for entry in left_out[:10])
        + ". Repair or remove them, or raise max_left_out."
    )


def _check_splits(kept: list[_Kept], classes: list[str], config: PrepareConfig) -> None:
    """Refuse a dataset that leaves a split empty; say which classes a split has nothing of."""
    found = {(photo.split, photo.label) for photo in kept}
    for split in SPLITS:
        without = [name for label, name in enumerate(classes) if (split, label) not in found]
        if len(without) == len(classes):
            raise DatasetError(
                f"{config.dataset} leaves no photo for {split}. A class gives one to each of {', '.join(SPLITS)} when "
                "it has three or more; two for training where the dataset has a test split of its own. Add photos."
            )
        if without:
            first = ", ".join(map(repr, without[:5])) + (", …" if len(without) > 5 else "")
            say("prepare", f"{len(without)} classes have too few photos for one in {split}: {first}")


def _duplicates(kept: list[_Kept]) -> list[Duplicates]:
    """Same bytes under two labels, in two splits, or else twice in a class.

    The first confuses training, the second flatters the result, the third only counts a photo twice.
    """
    by_content: dict[bytes, list[_Kept]] = defaultdict(list)
    for photo in kept:
        by_content[photo.content].append(photo)
    return [
        {"photos": [photo.name for photo in same], "kind": kind}
        for same in by_content.values()
        for kind, differ in (
            ("across classes", {photo.label for photo in same}),
            ("across splits", {photo.split for photo in same}),
            ("within a class", set(same) if len({(photo.label, photo.split) for photo in same}) == 1 else set()),
        )
        if len(differ) > 1
    ]


def _one_a_class(chosen: list[_Kept]) -> list[_Kept]:
    first: dict[int, _Kept] = {}
    for photo in chosen:
        first.setdefault(photo.label, photo)
    labels = sorted(first)
    return [first[label] for label in labels[:: max(1, -(-len(labels) // page.THUMBNAILS))]]
