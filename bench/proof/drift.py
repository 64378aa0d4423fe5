"""How often drift is shown where there is none, and where it was planted: real photos, through the command's own test.

A hundred times 10 of 12 classes are drawn, and of their photos some that are held out and others that are new. Planted:
photos of the other two classes among the new ones, or all new photos darker.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.proof.samples import pool
from switchpoint.data.manifest import SPLITS
from switchpoint.drift import study
from switchpoint.training.backbones.blocks import freeze
from switchpoint.training.backbones.build import build
from switchpoint.training.batches import plain_batches

Array = np.ndarray[Any, Any]

DRAWS = 100
CLASSES = 10
SIZE = 160  # pixels
LEVELS = (1.0, 0.9, 0.75, 0.5)  # of brightness
SHARES = (0.05, 0.1, 0.2, 0.3)  # of new photos that are of no class that was trained
COUNTS = ((200, 50), (200, 200), (500, 500))  # photos that are held out, and new ones


class Photos(NamedTuple):
    """All photos through the frozen network: by brightness float16 (photos, channels), and their labels."""

    features: dict[float, Array]
    labels: Array


class Outcome(NamedTuple):
    """Of how many comparisons drift was shown; `planted` says what there was."""

    planted: str
    held_out: int
    new: int
    shown: int
    of: int


def photos(directory: Path, food: Path) -> Photos:
    """Computed once, EfficientNet-Lite0 with ImageNet weights."""
    made = directory / f"drift-{SIZE}.npz"
    if not made.exists():
        import keras

        records = pool(food, "food101-mini", directory, SIZE)
        backbone = build("efficientnet_lite0", "imagenet", SIZE)
        freeze(backbone)
        pooled = keras.Model(backbone.input, keras.layers.GlobalAveragePooling2D()(backbone.output))
        found: dict[str, list[Array]] = {str(level): [] for level in LEVELS}
        labels = []
        for split in SPLITS:
            for crops, one_hot in plain_batches(records, split, 50).as_numpy_iterator():
                labels.append(one_hot.argmax(axis=1))
                for level in LEVELS:
                    seen = np.rint(crops * level).astype(np.uint8)
                    found[str(level)].append(pooled.predict(seen, verbose=0).astype(np.float16))
        arrays: dict[str, Any] = {level: np.concatenate(parts) for level, parts in found.items()}
        with made.open("wb") as file:
            np.savez(file, labels=np.concatenate(labels), **arrays)
    with np.load(made) as kept:
        return Photos({level: kept[str(level)] for level in LEVELS}, kept["labels"])


def run(food: Path, directory: Path, draws: int = DRAWS) -> list[Outcome]:
    """Compare, for each draw, new photos of every kind with what is held out."""
    directory.mkdir(parents=True, exist_ok=True)
    whole = photos(directory, food)
    shown: dict[tuple[str, int, int], list[bool]] = {}
    for number in range(1, draws + 1):
        random = np.random.default_rng([17, number])
        known = random.choice(whole.labels.max() + 1, CLASSES, replace=False)
        of_known = np.isin(whole.labels, known)
        dealt, strange = (random.permutation(np.flatnonzero(each)) for each in (of_known, ~of_known))
        for held_out, new in COUNTS:
            before = whole.features[1.0][dealt[:held_out]]
            for planted, features in _planted(whole, dealt[held_out : held_out + new], strange):
                alarm = study.p_value(before, features) < study.ALPHA
                shown.setdefault((planted, held_out, new), []).append(alarm)
    return [Outcome(*what, sum(found), len(found)) for what, found in shown.items()]


def _planted(whole: Photos, new: Array, strange: Array) -> Iterator[tuple[str, Array]]:
    yield "nothing", whole.features[1.0][new]
    for share in SHARES:
        others = strange[: round(share * len(new))]
        yield f"{share:.0%} of two other classes", whole.features[1.0][np.concatenate([new[len(others) :], others])]
    for level in LEVELS[1:]:
        yield f"all photos at {level:.0%} of their brightness", whole.features[level][new]


def table(outcomes: list[Outcome]) -> str:
    """In Markdown: a row for each kind of new photos, a column for the numbers of photos."""
    found = {(each.planted, each.held_out, each.new): f"{each.shown} of {each.of}" for each in outcomes}
    head = " | ".join(f"{new} new photos, {held_out} held out" for held_out, new in COUNTS)
    return f"| planted | {head} |\n|---|{'---|' * len(COUNTS)}\n" + "\n".join(
        f"| {kind} | {' | '.join(found[kind, *counts] for counts in COUNTS)} |"
        for kind in dict.fromkeys(each.planted for each in outcomes)
    )
