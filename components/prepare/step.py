"""prepare: photos, wherever they are -> records at the size that training crops from."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from components.prepare import page
from switchpoint.config import Config
from switchpoint.data import survey
from switchpoint.data.manifest import SPLITS, write_contents, write_manifest, writing
from switchpoint.data.photos import record_size
from switchpoint.data.records import write_split
from switchpoint.data.sources import open_source
from switchpoint.data.split import draw
from switchpoint.errors import DatasetError
from switchpoint.files import write_json, write_text
from switchpoint.progress import say

if TYPE_CHECKING:
    from pathlib import Path

    from switchpoint.data.sources import Source
    from switchpoint.data.survey import Kept, Survey
    from switchpoint.documents.records import LeftOut, Manifest
    from switchpoint.documents.records import Source as SourceDocument

SAID = 100  # photos left out that the log names
DRAWN = "Add photos, pass another seed or validation_fraction, or give the dataset splits of its own."


@dataclass(frozen=True)
class PrepareConfig(Config):
    """What decides the records' content; pipeline.py says what each is, and in which unit."""

    dataset: str
    dataset_digest: str
    image_size: int
    validation_fraction: float
    max_left_out: float
    leaks: str
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


def prepare(outputs: Outputs, config: PrepareConfig, workers: int | None = None) -> Manifest:
    """Write records of a dataset's photos: splits that it lacks cut from train, training photos in a seeded order.

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
    photos = open_source(config.dataset, config.dataset_digest)
    if config.dataset_digest and photos.digest != config.dataset_digest:
        raise DatasetError(
            f"{config.dataset} is not what dataset_digest says: expected {config.dataset_digest}, "
            f"found {photos.digest}. Start the run anew from the command, or leave dataset_digest empty."
        )
    for note in photos.notes:
        say("prepare", f"{config.dataset}: {note}")
    height, width = record_size(config.image_size)
    with (
        writing(outputs.records) as directory,
        tempfile.TemporaryFile(dir=directory.parent) as spool,
        tempfile.TemporaryFile(dir=directory.parent) as prints,
    ):
        found = survey.survey(
            photos,
            config.validation_fraction,
            config.seed,
            spool,
            prints,
            partial(say, "prepare"),
            (height, width),
            workers,
        )
        _say_left_out(found.left_out)
        _check_cut(found.photos, photos, config)
        _check_left_out(found.left_out, len(photos), photos.classes, found.photos, config)
        dropped = _copies(found, config)
        without = {entry["photo"] for entry in dropped}
        kept = [photo for photo in found.photos if photo.name not in without]
        _check_dropped(kept, photos.classes, config)
        _check_splits(kept, photos, config)
        splits = {split: [photo for photo in kept if photo.split == split] for split in SPLITS}
        splits["train"].sort(key=lambda photo: draw(config.seed, photo.name))

        examples = partial(survey.examples, spool)
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
                "split_from": {split: "dataset" if split in photos.own else "cut" for split in SPLITS},
                "left_out": found.left_out,
                "duplicates": found.duplicates,
                "dropped": dropped,
                "notes": list(photos.notes),
                "source": {"dataset": config.dataset, "digest": photos.digest},
                "seed": config.seed,
                "contents": write_contents(
                    directory, {split: [photo.content.hex() for photo in chosen] for split, chosen in splits.items()}
                ),
            },
        )
        write_text(outputs.look, page.drawn(page.Look.of(manifest), splits["train"], found.photos, examples))
        leaked, copied = (survey.leaked(photos, found.duplicates) for photos in (kept, found.photos))
        source: SourceDocument = {
            **manifest["source"],
            "records": manifest["digest"],
            "classes": len(photos.classes),
            "photos": len(photos),
            "left_out": len(found.left_out),
            "duplicates": dict(
                Counter(same["kind"] for same in found.duplicates if without.isdisjoint(same["photos"]))
            ),
            "dropped": len(dropped),
            "leaked": [number for number, photo in enumerate(splits["test"]) if photo.name in leaked],
            "copied": [number for number, photo in enumerate(splits["test"]) if photo.name in copied],
        }
        write_json(outputs.source, source)
    return manifest


def _say_left_out(left_out: list[LeftOut]) -> None:
    """In the log, one a line: a name is data, and may hold line breaks or be no UTF-8."""
    for entry in left_out[:SAID]:
        say("prepare", f"left out {entry['photo']!r}: {entry['reason']}")
    if len(left_out) > SAID:
        say("prepare", f"left out {len(left_out) - SAID} more; the manifest and the look at the data name all")


def _check_left_out(
    left_out: list[LeftOut], count: int, classes: list[str], kept: list[Kept], config: PrepareConfig
) -> None:
    lost = _untrained(kept, classes)
    if not lost and len(left_out) <= config.max_left_out * count:
        return
    worst = Counter(entry["photo"].rpartition("/")[0] for entry in left_out).most_common(5)
    what = f"no training photo is left of {', '.join(map(repr, lost[:5]))}; " if lost else ""
    raise DatasetError(
        f"{config.dataset}: {what}{len(left_out)} of {count} photos are unreadable, "
        f"{int(config.max_left_out * count)} may be (max_left_out={config.max_left_out}). "
        f"Most of them in {', '.join(f'{name} ({times})' for name, times in worst)}; first: "
        + "; ".join(f"{entry['photo']} ({entry['reason']})" for entry in left_out[:10])
        + ". Repair or remove them, or raise max_left_out."
    )


def _check_cut(kept: list[Kept], source: Source, config: PrepareConfig) -> None:
    """Refuse a dataset if the cut took all photos of a class."""
    taken = {source.classes[photo.label] for photo in kept if photo.split not in source.own}
    if lost := [name for name in _untrained(kept, source.classes) if name in taken]:
        raise DatasetError(
            f"{config.dataset}: no photo of {', '.join(map(repr, lost[:5]))} is in train: where each goes is drawn, of "
            f"each by itself, and all went to validation or test. {DRAWN}"
        )


def _untrained(kept: list[Kept], classes: list[str]) -> list[str]:
    """The classes without a training photo."""
    trained = {photo.label for photo in kept if photo.split == "train"}
    return [name for label, name in enumerate(classes) if label not in trained]


def _check_dropped(kept: list[Kept], classes: list[str], config: PrepareConfig) -> None:
    """Refuse a dataset that has no training photo of a class once the copies are gone."""
    if lost := _untrained(kept, classes):
        raise DatasetError(
            f"{config.dataset}: no training photo is left of {', '.join(map(repr, lost[:5]))}: all of them are copies, "
            "which leaks=drop leaves out. Add photos, remove the copies that are not to count, or pass leaks=report."
        )


def _copies(found: Survey, config: PrepareConfig) -> list[LeftOut]:
    """The photos that `leaks` says to leave out.

    Raises:
        DatasetError: There are any, and it says to fail.
    """
    if config.leaks == "report":
        return []
    dropped = survey.dropped(found.photos, found.duplicates)
    if dropped and config.leaks == "fail":
        first = "; ".join(f"{entry['photo']} ({entry['reason']})" for entry in dropped[:10])
        raise DatasetError(
            f"{config.dataset}: {len(dropped)} photos have a copy in another split or another class (leaks=fail); "
            f"first: {first}. Remove them, or pass leaks=drop, which leaves them out, or leaks=report."
        )
    for entry in dropped[:SAID]:
        say("prepare", f"dropped {entry['photo']!r}: {entry['reason']}")
    return dropped


def _check_splits(kept: list[Kept], source: Source, config: PrepareConfig) -> None:
    """Refuse a dataset that leaves a split empty; say which classes a split has nothing of."""
    found, classes = {(photo.split, photo.label) for photo in kept}, source.classes
    for split in SPLITS:
        without = [name for label, name in enumerate(classes) if (split, label) not in found]
        if len(without) == len(classes):
            what = "Add photos there." if split in source.own else f"Where each goes is drawn. {DRAWN}"
            raise DatasetError(f"{config.dataset} leaves no photo for {split}, of {len(kept)}. {what}")
        if without:
            first = ", ".join(map(repr, without[:5])) + (", …" if len(without) > 5 else "")
            say("prepare", f"classes without a photo in {split}, {len(without)}: {first}")
