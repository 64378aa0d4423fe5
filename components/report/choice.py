"""Which start is recommended, by the validation photos alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from components.report.starts import rank
from switchpoint.inference import ADDED, differences

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np

    from components.report.starts import Training

# Below it one photo is more than a point, and a difference of two points, which many would act on, one photo or two.
FEWEST = 100
ERRORS = 2  # standard errors: what is not further below the highest is not shown worse


class Choice(NamedTuple):
    """What validation recommends.

    Attributes:
        start: Its number.
        why: The reason, as the end of a sentence.
        warning: A sentence where the validation photos are too few to choose by.
    """

    start: int
    why: str
    warning: str | None = None


def choose(right: np.ndarray[Any, Any], trainings: Sequence[Sequence[Training]]) -> Choice:
    """The latest start that is not shown worse than the one with the highest validation accuracy, meant over seeds.

    Of equals in accuracy the lower loss is highest, then fewer epochs. The latest, since a head that was trained for
    longer bends the backbone's features less (Kumar et al. 2022); docs/choice.md has what this and other rules lose.
    One that diverged under a seed is recommended only where it is the highest all the same.

    Args:
        right: bool (starts, seeds, photos): whether a validation photo was named right.
        trainings: Of each start, a seed each.

    Source:
        Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees, section 3.4.3
        (with one standard error)
    """
    counts = right.sum(axis=(1, 2)).tolist()
    best = min(range(len(trainings)), key=lambda number: rank(counts[number], trainings[number]))
    chosen = latest(right, best, [any(each.result["diverged"] for each in start) for start in trainings])
    photos = right.shape[2]
    warning = None
    if photos < FEWEST:
        warning = (
            f"There are {photos} of them, and one is {100 / photos:.1f} points: too few to choose by; hold out more "
            "(validation_fraction), or add photos."
        )
    if chosen == best:
        equals = ", and of equals the lower loss" * (counts.count(counts[best]) > 1)
        return Choice(chosen, f"the highest validation accuracy{equals}", warning)
    return Choice(chosen, "the latest start within two standard errors of the highest validation accuracy", warning)


def latest(right: np.ndarray[Any, Any], best: int, diverged: Sequence[bool] = (), errors: float = ERRORS) -> int:
    """The last start that is no further below the best than so many standard errors of their difference on photos.

    By how much whole seeds differ is in the means and not in the error: from a few seeds it is hardly known, and a
    start that fails under one of them would be excused by that very failure.

    Args:
        right: As `choose` takes it.
        best: The best start's number.
        diverged: Of each start whether a training did; such a one is not taken for being late.
        errors: How many.
    """
    _, seeds, photos = right.shape
    failed = {number for number, each in enumerate(diverged) if each}
    later = [(best, number) for number in range(best + 1, len(right)) if number not in failed]
    near = [best]
    for each in differences(right, later) if later else []:
        # Of photos, and of single answers: one photo under one seed.
        error = math.sqrt(each.spread.photos / (photos + len(ADDED)) + each.spread.rest / (photos * seeds))
        if each.share <= errors * error:
            near.append(each.against)
    return near[-1]
