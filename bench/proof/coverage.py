"""How often the report's intervals hold the truth, where the truth is known.

Photos, starts and seeds are drawn from a model in which a start's accuracy over all photos and seeds is a number that
is written down: a photo is right where the sum of normal draws (of the start's seed, the photo, the photo under the
start, the photo under the start's seed) and the start's own level is above 0.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from switchpoint.inference import differences

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCURACIES = (0.70, 0.72, 0.72, 0.75)  # of transfer learning alone and three starts
# Standard deviations. Of seeds: what moves accuracy by 2 points; starts alike, starts that differ, one ten times
# as unsteady as the others, and none.
SEEDS = {
    "alike": (0.08, 0.08, 0.08, 0.08),
    "unequal": (0.04, 0.12, 0.08, 0.06),
    "wild": (0.02, 0.02, 0.02, 0.2),
    "none": (0.0, 0.0, 0.0, 0.0),
}
PHOTO, PHOTO_AND_START, REST = 1.2, 0.35, 0.5  # so that two starts differ on 14 % of the photos


class Covered(NamedTuple):
    """What was seen in one setting, as shares and points.

    Attributes:
        spread: Which of `SEEDS`.
        photos: Test photos.
        seeds: Trainings of each start.
        each: How often an interval of two starts alone held the truth.
        jointly: How often all six intervals of four starts did.
        width: Of the interval of two starts among the four, from its middle to its end, in points.
    """

    spread: str
    photos: int
    seeds: int
    each: float
    jointly: float
    width: float


def covered(spread: str, photos: int, seeds: int, draws: int) -> Covered:
    """Draw so many test sets and trainings, and see how often the intervals hold."""
    random = np.random.default_rng([photos, seeds, *spread.encode()])
    each, jointly, widths = [], [], []
    for right, truth in _drawn(random, np.array(SEEDS[spread]), photos, seeds, draws):
        (alone,), found = differences(right[:2]), differences(right)
        each.append(alone.low <= truth[1] - truth[0] <= alone.high)
        jointly.append(all(one.low <= truth[one.start] - truth[one.against] <= one.high for one in found))
        widths.append((found[0].high - found[0].low) / 2 * 100)
    return Covered(spread, photos, seeds, float(np.mean(each)), float(np.mean(jointly)), float(np.mean(widths)))


def _drawn(random: np.random.Generator, deviations: Any, photos: int, seeds: int, draws: int) -> Iterator[Any]:
    """What was right, (starts, seeds, photos), and each start's true accuracy: given its model where one seed is."""
    normal = statistics.NormalDist()
    starts = len(deviations)
    within = PHOTO**2 + PHOTO_AND_START**2 + REST**2
    level = np.array([normal.inv_cdf(share) for share in ACCURACIES]) * np.sqrt(within + deviations**2)
    for _ in range(draws):
        models = level[:, None] + random.normal(size=(starts, seeds)) * deviations[:, None]
        photo = random.normal(0, PHOTO, photos) + random.normal(0, PHOTO_AND_START, (starts, 1, photos))
        right = models[:, :, None] + photo + random.normal(0, REST, (starts, seeds, photos)) > 0
        own = [normal.cdf(each / math.sqrt(within)) for each in models[:, 0]]
        yield right, np.array(own if seeds == 1 else ACCURACIES)


def run(draws: int) -> str:
    """The table of all settings; each is told as it ends."""
    rows: list[Covered] = []
    for spread in SEEDS:
        for photos in (300, 3000):
            for seeds in (1, 2, 3, 5):
                rows.append(covered(spread, photos, seeds, draws))
                click.echo(f"{spread}, {photos} photos, {seeds} seeds: {rows[-1].each:.1%}, {rows[-1].jointly:.1%}")
    return table(rows)


def table(rows: list[Covered]) -> str:
    """As Markdown."""
    lines = ["| seeds vary | photos | seeds | each | jointly | ± points |", "|---|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {row.spread} | {row.photos:,} | {row.seeds} | {row.each:.1%} | {row.jointly:.1%} | {row.width:.1f} |"
        for row in rows
    ]
    return "\n".join(lines)
