"""What the trainings came to: the tables of docs/records.md."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.intervals import Interval, over_photos, over_seeds
from bench.pixels.sources import CHANGES, LAB, OURS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.pixels.cells import Cells


class Compared(NamedTuple):
    """Trainings on one source less those on another, seed by seed and photo by photo.

    Attributes:
        words: What differs.
        seeds: How many.
        points: Of accuracy, in points, over the seeds.
        points_of_photos: The same mean, and its interval over the test photos.
        loss: In nats a photo, over the seeds.
        loss_of_photos: The same mean, and its interval over the test photos.
    """

    words: str
    seeds: int
    points: Interval
    points_of_photos: Interval
    loss: Interval
    loss_of_photos: Interval


def compare(
    cells: Cells, seeds: list[int], words: str, one: tuple[str, str], other: tuple[str, str]
) -> Compared | None:
    """Two ways, each named by what it is trained on and what it is tested on; None: not two seeds have both."""
    both = [seed for seed in seeds if all(cells.has(seed, on, [tested]) for on, tested in (one, other))]
    if len(both) < 2:
        return None
    found: list[Interval] = []
    for measure, scale in (("correct", 100), ("loss", 1)):
        differences = scale * (cells.values(measure, both, *one) - cells.values(measure, both, *other))
        found += [over_seeds(differences.mean(axis=1).tolist()), over_photos(differences.mean(axis=0))]
    return Compared(words, len(both), *found)


def changes(cells: Cells, seeds: list[int]) -> list[Compared]:
    """One change at a time, trained and tested on the same source."""
    rows = [compare(cells, seeds, change.words, (change.source,) * 2, (change.against,) * 2) for change in CHANGES]
    return [row for row in rows if row]


def tests(cells: Cells, seeds: list[int], trained_on: str) -> list[Compared]:
    """One change at a time in what the same heads are tested on."""
    rows = [
        compare(cells, seeds, change.words, (trained_on, change.source), (trained_on, change.against))
        for change in CHANGES
        if change.source != "keras"  # centre crops are not turned
    ]
    return [row for row in rows if row]


def crossed(cells: Cells, seeds: list[int]) -> list[Compared]:
    """Whether it matters where the records stand: in training, in testing or in both."""
    ways = {"training": (OURS, LAB), "testing": (LAB, OURS), "training and testing": (OURS, OURS)}
    rows = [compare(cells, seeds, f"records in {words}", way, (LAB, LAB)) for words, way in ways.items()]
    return [row for row in rows if row]


def by_chance(accuracies: Sequence[float]) -> list[float]:
    """How far the means of two halves of the seeds lie apart, for each way to halve them: of the very same pixels."""
    count = len(accuracies)
    return [float(gap) for gap in _gaps(np.asarray(accuracies, float), count, count // 2)]


def _gaps(values: np.ndarray[tuple[int], np.dtype[np.float64]], count: int, half: int) -> Iterator[float]:
    for chosen in itertools.combinations(range(count), half):
        picked = np.isin(np.arange(count), chosen)
        yield abs(values[picked].mean() - values[~picked].mean())


def markdown(rows: list[Compared], title: str) -> str:
    """Differences in points and in thousandths of a nat, each with its interval over seeds and over photos."""

    def shown(interval: Interval, scale: float, digits: int) -> str:
        low, high = (f"{scale * value:+.{digits}f}" for value in interval[1:])
        return f"[{low}, {high}]"

    lines = [
        f"| {title} | seeds | points | over seeds | over photos | loss, 0.001 nats | over seeds | over photos |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        accuracy = [f"{row.points.mean:+.2f}", shown(row.points, 1, 2), shown(row.points_of_photos, 1, 2)]
        loss = [f"{1000 * row.loss.mean:+.1f}", shown(row.loss, 1000, 1), shown(row.loss_of_photos, 1000, 1)]
        lines.append(f"| {' | '.join([row.words, str(row.seeds), *accuracy, *loss])} |")
    return "\n".join(lines)
