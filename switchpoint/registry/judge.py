"""Whether a challenger is not worse than a champion, by photos that both have named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from switchpoint.inference import LEVEL, differences, needed

if TYPE_CHECKING:
    from typing import Any

Outcome = Literal["promoted", "worse", "undecided"]
ONE_SIDED = 2 * LEVEL  # each end of a two-sided 90 % interval is a one-sided bound of 95 %


class Judgement(NamedTuple):
    """What photos say of a challenger.

    Attributes:
        outcome: promoted: shown to be no further below than the margin; worse: shown to be further below; else
            undecided.
        points: The challenger's accuracy less the reference's.
        low: It is not below this, at 95 %.
        high: It is not above this, at 95 %.
        challenger: Its accuracy, in percent.
        reference: The reference's.
        photos: How many both have named.
        needed: How many it would take, if both were equally good, to see that in four of five cases; None: more than
            anyone has.
    """

    outcome: Outcome
    points: float
    low: float
    high: float
    challenger: float
    reference: float
    photos: int
    needed: int | None


def judge(challenger: np.ndarray[Any, Any], reference: np.ndarray[Any, Any], margin: float) -> Judgement:
    """Compare photo by photo.

    Args:
        challenger: bool (photos,): which it named right.
        reference: The same of the model that it must not be worse than.
        margin: In points.
    """
    right = np.array([[challenger], [reference]])  # (models, seeds, photos)
    (found,) = differences(right, [(0, 1)], ONE_SIDED)
    points, low, high = (100 * each for each in (found.share, found.low, found.high))
    outcome: Outcome = "promoted" if low >= -margin else "worse" if high < -margin else "undecided"
    _, photos = needed(right, (0, 1), margin / 100, ONE_SIDED) if margin else (None, None)
    return Judgement(
        outcome,
        points,
        low,
        high,
        100 * float(np.mean(challenger)),
        100 * float(np.mean(reference)),
        len(challenger),
        photos,
    )
