"""Which start is recommended, by the validation photos alone."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

from components.report.starts import preference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np

    from components.report.starts import Training


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
    """The highest validation accuracy, meant over seeds; then the lower loss; then fewer epochs.

    Args:
        right: bool (starts, seeds, photos): whether a validation photo was named right.
        trainings: Of each start, a seed each.
    """
    orders = [[preference(each.history) for each in start] for start in trainings]
    means = [tuple(mean(each[part] for each in order) for part in range(3)) for order in orders]
    best = min(range(len(means)), key=lambda number: means[number])
    return Choice(best, "the highest validation accuracy")
