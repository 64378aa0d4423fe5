"""What a dataset holds and what of it needs a decision, before anything trains."""

from __future__ import annotations

import tempfile
from collections import Counter
from functools import partial
from typing import IO, TYPE_CHECKING

from switchpoint.data.manifest import SPLITS
from switchpoint.data.split import TEST_FRACTION
from switchpoint.files import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from switchpoint.command.documents import Checked
    from switchpoint.data.sources import Source
    from switchpoint.data.survey import Survey
    from switchpoint.documents.lineage import Parameters
    from switchpoint.documents.records import Duplicates, LeftOut, Manifest
    from switchpoint.progress import Progress

SMALLEST = 5  # classes that are named
THUMBNAIL = 144  # pixels
KINDS = {
    "across splits": "in more than one of train, validation and test",
    "across classes": "in more than one class",
    "within a class": "more than once in a class and split",
}


def check(values: Parameters, tell: Callable[[Progress], None], html: Path | None = None) -> Checked:
    """Read every photo of a dataset as prepare would, and make nothing but a page.

    Args:
        values: The pipeline's parameters.
        tell: Told how far it is.
        html: Where to write a page that shows copies side by side; None: nowhere.

    Raises:
        DatasetError: It is not there, or lies in no way that is known.
    """
    from switchpoint.data.sources import open_source
    from switchpoint.data.survey import survey

    source = open_source(values["dataset"])
    with tempfile.TemporaryFile() as spool, tempfile.TemporaryFile() as prints:
        size = (THUMBNAIL, THUMBNAIL) if html else None
        found = survey(source, values["validation_fraction"], values["seed"], spool, prints, tell, size)
        result = _checked(source, found, values)
        if html:
            write_text(html, _page(result, found, spool))
    return result


def _checked(source: Source, found: Survey, values: Parameters) -> Checked:
    counts = Counter((photo.split, photo.label) for photo in found.photos)
    result: Checked = {
        "dataset": values["dataset"],
        "digest": source.digest,
        **_counted(
            source.classes,
            {split: [counts[split, label] for label in range(len(source.classes))] for split in SPLITS},
            {split: "dataset" if split in source.own else "cut" for split in SPLITS},
        ),
        "left_out": found.left_out,
        "duplicates": found.duplicates,
        "notes": list(source.notes),
        "decide": [],
    }
    result["decide"] = decisions(result, values["max_left_out"])
    return result


def _page(result: Checked, found: Survey, spool: IO[bytes]) -> str:
    from components.prepare import page
    from switchpoint.data.survey import examples

    rows = result["classes"]
    look = page.Look(
        result["dataset"],
        {"Dataset": result["digest"]},
        "",
        [row["class"] for row in rows],
        {split: [row[split] for row in rows] for split in SPLITS},  # type: ignore[literal-required]
        {split: size["from"] for split, size in result["splits"].items()},
        found.left_out,
        found.duplicates,
        decide=result["decide"],
    )
    train = [photo for photo in found.photos if photo.split == "train"]
    return page.drawn(look, train, found.photos, partial(examples, spool))


def of_manifest(manifest: Manifest) -> Checked:
    """The same of records; nothing is left to be decided, and copies that were dropped are none any more."""
    return {
        **manifest["source"],
        **_counted(
            manifest["classes"],
            {split: manifest["splits"][split]["per_class"] for split in SPLITS},
            manifest["split_from"],
        ),
        "left_out": manifest["left_out"],
        "duplicates": left(manifest["duplicates"], manifest["dropped"]),
        "notes": manifest["notes"],
        "decide": [],
    }


def left(duplicates: Iterable[Duplicates], dropped: Iterable[LeftOut]) -> list[Duplicates]:
    """The groups of copies that are there once some were dropped: of a class and split all members go, or none."""
    gone = {entry["photo"] for entry in dropped}
    return [same for same in duplicates if gone.isdisjoint(same["photos"])]


def _counted(classes: Sequence[str], counts: Mapping[str, Sequence[int]], origin: Mapping[str, str]) -> Checked:
    """What follows from the photos' numbers."""
    sizes = {name: sum(counts[split][label] for split in SPLITS) for label, name in enumerate(classes)}
    return {  # type: ignore[typeddict-item]
        "classes": [
            {"class": name, **{split: counts[split][label] for split in SPLITS}} for label, name in enumerate(classes)
        ],
        "photos": sum(sizes.values()),
        "splits": {split: {"photos": sum(counts[split]), "from": origin[split]} for split in SPLITS},
        "smallest": [
            {"class": name, "photos": sizes[name]} for name in sorted(classes, key=sizes.__getitem__)[:SMALLEST]
        ],
        "without": {
            split: [name for label, name in enumerate(classes) if not counts[split][label]] for split in SPLITS
        },
    }


def decisions(found: Checked, max_left_out: float) -> list[str]:
    """What a person has to decide before a run is worth its hours: a sentence each.

    Args:
        found: All but these.
        max_left_out: The share of photos that may be unreadable.
    """
    said = []
    kinds = by_kind(found["duplicates"])
    if kinds.get("across splits"):
        said.append(
            f"{copies_are(kinds['across splits'])} {KINDS['across splits']}, which flatters the result: remove the "
            "copies that train, or run with --leaks drop."
        )
    if kinds.get("across classes"):
        said.append(
            f"{copies_are(kinds['across classes'])} {KINDS['across classes']}: remove the copies with the wrong "
            "label, or run with --leaks drop, which leaves all of them out."
        )
    every = found["photos"] + len(found["left_out"])
    if len(found["left_out"]) > max_left_out * every:
        said.append(
            f"{len(found['left_out']):,} of {every:,} photos can't be read, and a run refuses more than "
            f"{int(max_left_out * every):,} (--max-left-out {max_left_out:g}): repair or remove them, or allow more."
        )
    for split, names in found["without"].items():
        if names:
            other = ", take another --seed" if found["splits"][split]["from"] == "cut" else ""
            said.append(
                f"classes without a photo in {split}, {len(names):,} ({first(names)}): add photos{other}, or remove "
                "the class."
            )
    return said


def copies_are(groups: Sequence[Duplicates]) -> str:
    """How many groups of copies and how many photos in them, with their verb."""
    several = len(groups) > 1
    photos = sum(len(same["photos"]) for same in groups)
    return f"{len(groups):,} group{'s' * several} of copies ({photos:,} photos) {'are' if several else 'is'}"


def first(names: Sequence[str], count: int = 5) -> str:
    """The first of several names."""
    return ", ".join(names[:count]) + ", …" * (len(names) > count)


def summary(found: Checked) -> list[str]:
    """The same in a few lines, problems alone after the first."""
    numbers = ", ".join(
        f"{entry['photos']:,} {split} ({'own split' if entry['from'] == 'dataset' else 'cut'})"
        for split, entry in found["splits"].items()
    )
    said = [f"{len(found['classes']):,} classes, {found['photos']:,} photos: {numbers}"]
    none = {split: len(names) for split, names in found["without"].items() if names}
    said += [f"classes without a photo in {split}: {count:,}" for split, count in none.items()]
    if found["left_out"]:
        said.append(f"{len(found['left_out']):,} photos can't be read")
    return said + [f"{copies_are(same)} {KINDS[kind]}" for kind, same in by_kind(found["duplicates"]).items()]


def by_reason(left_out: Iterable[LeftOut]) -> dict[str, list[str]]:
    """Photos that can't be read, by reason, the most frequent first."""
    found: dict[str, list[str]] = {}
    for entry in left_out:
        found.setdefault(entry["reason"], []).append(entry["photo"])
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def by_kind(duplicates: Iterable[Duplicates]) -> dict[str, list[Duplicates]]:
    """Photos that are there more than once, by kind."""
    found: dict[str, list[Duplicates]] = {kind: [] for kind in KINDS}
    for entry in duplicates:
        found[entry["kind"]].append(entry)
    return {kind: entries for kind, entries in found.items() if entries}


def origin(split: str, found: str, values: Parameters) -> str:
    """Where a split came from, in words."""
    if found == "dataset":
        return "the dataset's own"
    return {
        "train": "what is left",
        "validation": f"cut: {values['validation_fraction']:.0%} of the training photos "
        f"(--validation-fraction, --seed {values['seed']})",
        "test": f"cut: {TEST_FRACTION:.0%} of the photos without a split (--seed {values['seed']})",
    }[split]
