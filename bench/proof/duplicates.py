"""What is found of copies that were planted among real photos, and which other photos are taken for copies.

Of each photo a copy: recompressed, resized, cropped by 5 %, mirrored, or all of these. Hashes give candidates, the
small pictures decide; a row of the table is where that threshold could lie.
"""

from __future__ import annotations

import io
import random
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from switchpoint.data.duplicates import DIFFERENT, candidates, differences, fingerprint, near, read_prints
from switchpoint.data.photos import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from switchpoint.data.duplicates import Array

    Change = Callable[[Image.Image, random.Random], Image.Image]

THRESHOLDS = (0.25, 0.35, DIFFERENT, 0.55, 0.65)
MANY = 100_000  # photos, for the seconds
FOLDERS = ("food101-mini", "food101-64px")


def recompressed(photo: Image.Image, drawn: random.Random) -> Image.Image:
    """As a JPEG of quality 30 to 70."""
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=drawn.randint(30, 70))
    return Image.open(out).convert("RGB")


def resized(photo: Image.Image, drawn: random.Random) -> Image.Image:
    """To between half and one and a half."""
    scale = drawn.uniform(0.5, 1.5)
    return photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC)


def cropped(photo: Image.Image, drawn: random.Random) -> Image.Image:
    """By 5 % of each side, somewhere."""
    width, height = round(photo.width * 0.95), round(photo.height * 0.95)
    left, top = drawn.randint(0, photo.width - width), drawn.randint(0, photo.height - height)
    return photo.crop((left, top, left + width, top + height))


def mirrored(photo: Image.Image, drawn: random.Random) -> Image.Image:
    return ImageOps.mirror(photo)


def all_of_it(photo: Image.Image, drawn: random.Random) -> Image.Image:
    for change in (cropped, mirrored, resized, recompressed):
        photo = change(photo, drawn)
    return photo


COPIES: dict[str, Change] = {
    "recompressed": recompressed,
    "resized": resized,
    "cropped by 5 %": cropped,
    "mirrored": mirrored,
    "all of these": all_of_it,
}


class Found(NamedTuple):
    """Of copies of a kind among a folder's photos.

    Attributes:
        planted: How many.
        hashed: Of how many the hashes made a candidate.
        own: The difference of each of these to its original.
        others: The difference of candidates of two photos, and their numbers.
    """

    planted: int
    hashed: int
    own: Array
    others: list[tuple[float, int, int]]


def prints_of(fingerprints: Sequence[bytes]) -> Array:
    """In memory, as prepare reads them."""
    with tempfile.TemporaryFile() as file:
        file.write(b"".join(fingerprints))
        return np.array(read_prints(file, len(fingerprints)))


def measure(photos: Sequence[Image.Image], originals: Sequence[bytes], change: Change) -> Found:
    """Plant a copy of each photo among them.

    Args:
        photos: RGB.
        originals: Their prints.
        change: What makes a copy.
    """
    drawn, count = random.Random(0), len(photos)
    prints = prints_of([*originals, *(fingerprint(change(photo, drawn)) for photo in photos)])
    pairs = candidates(np.concatenate([prints["hash"], prints["mirrored"]]))
    numbers, parts = np.arange(len(prints)), np.array_split(pairs, len(pairs) // 256 + 1)
    apart = np.concatenate([differences(prints, numbers, part) for part in parts])
    own: dict[int, float] = {}
    others: dict[tuple[int, int], float] = {}
    for (first, second), value in zip(pairs % (2 * count), apart, strict=True):
        one, other = sorted((int(first) % count, int(second) % count))
        if one == other:
            own[one] = min(float(value), own.get(one, np.inf))
        else:
            others[one, other] = min(float(value), others.get((one, other), np.inf))
    ranked = sorted((value, *pair) for pair, value in others.items())
    return Found(count, len(own), np.array(list(own.values())), ranked)


def run(directory: Path) -> str:
    """Recall by threshold, the photos taken for one another, and seconds, as Markdown.

    Args:
        directory: Where `FOLDERS` are.
    """
    lines = [
        "| photos | copies | candidates | " + " | ".join(f"{value:g}" for value in THRESHOLDS) + " |",
        "|---|---|--:|" + "--:|" * len(THRESHOLDS),
    ]
    taken: list[str] = []
    for folder in FOLDERS:
        paths = sorted((directory / folder / "images").glob("*/*.jpg"))
        photos = [decode(path.read_bytes()) for path in paths]
        originals = list(map(fingerprint, photos))
        others: dict[tuple[int, int], float] = {}
        for name, change in COPIES.items():
            found = measure(photos, originals, change)
            shares = (np.count_nonzero(found.own <= value) / found.planted for value in THRESHOLDS)
            cells = " | ".join(f"{share:.1%}" for share in shares)
            lines.append(f"| {folder}, {len(paths):,} | {name} | {found.hashed / found.planted:.1%} | {cells} |")
            for value, *pair in found.others:
                one, other = pair
                others[one, other] = min(value, others.get((one, other), np.inf))
        counts = " | ".join(f"{sum(apart <= value for apart in others.values()):,}" for value in THRESHOLDS)
        lines.append(f"| {folder}, {len(paths):,} | pairs of other photos | {len(others):,} | {counts} |")
        nearest = sorted(others.items(), key=lambda item: item[1])[:6]
        taken += [
            f"{apart:.2f} {paths[one].parent.name}/{paths[one].name} {paths[other].parent.name}/{paths[other].name}"
            for (one, other), apart in nearest
        ]
    return "\n".join([*lines, "", "The nearest of different photos:", *taken, "", seconds(directory / FOLDERS[1])])


def seconds(folder: Path) -> str:
    """How long it takes to find copies among `MANY` photos: crops of half the sides of a folder's, each another one."""
    drawn = random.Random(0)
    photos = [decode(path.read_bytes()) for path in sorted((folder / "images").glob("*/*.jpg"))]
    make = partial(_part, drawn)
    prints = prints_of([fingerprint(make(photos[number % len(photos)])) for number in range(MANY)])
    start = time.monotonic()
    found = near(prints, np.arange(len(prints)))
    return f"{MANY:,} prints: {time.monotonic() - start:.0f} s, {len(found):,} pairs."


def _part(drawn: random.Random, photo: Image.Image) -> Image.Image:
    width, height = photo.width // 2, photo.height // 2
    left, top = drawn.randint(0, photo.width - width), drawn.randint(0, photo.height - height)
    part = photo.crop((left, top, left + width, top + height))
    return part.transpose(drawn.choice(list(Image.Transpose)))
