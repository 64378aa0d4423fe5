"""Comparisons: both ways in alternating runs, each in a process of its own, medians and their ratio."""

import json
import multiprocessing
import statistics
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from bench.intervals import over_seeds

MORE_IS_BETTER = ("images/s",)


class Measured(NamedTuple):
    """One run: the value in the comparison's unit, and what else the comparison has.

    Attributes:
        accuracy: On the test photos, in [0, 1].
        feature_cosine: How alike a photo and what is kept of it look to the backbone, in [-1, 1]; 1 = the same.
    """

    value: float
    accuracy: float | None = None
    feature_cosine: float | None = None


# Called with the prepared data's directory and the repeat's number, from 1, which is the seed where one is drawn from.
Way = Callable[[Path, int], Measured]


class Comparison(NamedTuple):
    """One baseline and what is measured against it: a name for each row of the table.

    Attributes:
        unit: `seconds`, `bytes` or `images/s`; the last is better when larger.
        repeats: Runs of each way.
        baseline: The way to beat. Ways are functions of a module, for they are called in another process.
        ours: Name to way.
    """

    unit: str
    repeats: int
    baseline: Way
    ours: Mapping[str, Way]


@dataclass(frozen=True)
class Row:
    """What a name came to, as build/bench.json holds it: a ratio above 1 means that ours is better.

    Attributes:
        accuracy_interval_points: 95 %, over the repeats, which are other draws of both ways: the difference of one
            repeat is no better known than that of any two seeds. The test photos are the same for all of them.
    """

    name: str
    baseline: float
    ours: float
    unit: str
    ratio: float
    accuracy_difference_points: float | None
    accuracy_interval_points: tuple[float, float] | None
    feature_cosine: float | None
    repeats: int


def compare(comparison: Comparison, directory: Path, note: Callable[[str], None] = lambda text: None) -> list[Row]:
    """Run every way `repeats` times, in turns, each second turn backwards.

    A process a way: TensorFlow's determinism, caches and threads are a process's, and its start is not measured.
    """
    ways = {"baseline": comparison.baseline, **comparison.ours}
    runs: dict[str, list[Measured]] = {name: [] for name in ways}
    with ExitStack() as stack:
        processes = {name: stack.enter_context(process()) for name in ways}
        for repeat in range(1, comparison.repeats + 1):
            for name in list(ways) if repeat % 2 else reversed(list(ways)):
                measured = processes[name].submit(ways[name], directory, repeat).result()
                runs[name].append(measured)
                accuracy = "" if measured.accuracy is None else f"  accuracy {measured.accuracy:.3f}"
                note(f"{'/'.join(comparison.ours)}  {repeat}  {name}  {measured.value:.4g} {comparison.unit}{accuracy}")
    baseline = runs.pop("baseline")
    return [row(name, comparison.unit, baseline, measured) for name, measured in runs.items()]


@contextmanager
def process() -> Iterator[ProcessPoolExecutor]:
    """A fresh process that lives until the end and does one thing at a time."""
    spawn = multiprocessing.get_context("spawn")
    # The lab's `fit` is warned of what does not concern the measurement.
    with ProcessPoolExecutor(1, spawn, warnings.simplefilter, ("ignore", UserWarning)) as pool:
        yield pool


def row(name: str, unit: str, baseline: list[Measured], ours: list[Measured]) -> Row:
    """Medians and their ratio; accuracies as the mean of the pairs' differences; our cosines' mean."""
    theirs, mine = (statistics.median(run.value for run in runs) for runs in (baseline, ours))
    differences = [
        100 * (mine.accuracy - theirs.accuracy)
        for theirs, mine in zip(baseline, ours, strict=True)
        if theirs.accuracy is not None and mine.accuracy is not None
    ]
    cosines = [run.feature_cosine for run in ours if run.feature_cosine is not None]
    return Row(
        name=name,
        baseline=theirs,
        ours=mine,
        unit=unit,
        ratio=mine / theirs if unit in MORE_IS_BETTER else theirs / mine,
        accuracy_difference_points=statistics.fmean(differences) if differences else None,
        accuracy_interval_points=over_seeds(differences)[1:] if len(differences) > 1 else None,
        feature_cosine=statistics.fmean(cosines) if cosines else None,
        repeats=len(ours),
    )


def write(rows: Iterable[Row], path: Path) -> None:
    """A list of objects; what is of accuracies and feature_cosine only where they apply."""
    entries: list[dict[str, Any]] = [
        {key: value for key, value in asdict(each).items() if value is not None} for each in rows
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=1) + "\n")


def table(rows: Iterable[Row]) -> Table:
    """For a terminal."""
    rows = list(rows)
    cosine = ["cosine"] if any(each.feature_cosine is not None for each in rows) else []
    shown = Table("name", "baseline", "ours", "unit", "ratio", "accuracy, points", *cosine, "repeats")
    shown.columns[0].no_wrap = True
    for column in shown.columns[1:3] + shown.columns[4:]:
        column.justify = "right"
    for each in rows:
        difference, interval = each.accuracy_difference_points, each.accuracy_interval_points
        accuracy = "" if difference is None else f"{difference:+.2f}"
        shown.add_row(
            each.name,
            f"{each.baseline:,.4g}",
            f"{each.ours:,.4g}",
            each.unit,
            f"{each.ratio:.2f}",
            accuracy + (f" [{interval[0]:+.2f}, {interval[1]:+.2f}]" if interval else ""),
            *("" if each.feature_cosine is None else f"{each.feature_cosine:.4f}" for _ in cosine),
            str(each.repeats),
        )
    return shown
