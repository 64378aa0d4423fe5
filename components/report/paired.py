"""Two models on the same photos: how far apart they are, and what that is worth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switchpoint.documents import Gain

DRAWS = 10_000  # of the bootstrap
LEVEL = 0.05
FEW = 6  # photos on which two models differ: McNemar's exact test can't reach 5 % with fewer, 2 · 0.5⁵ = 0.06


def paired(labels: Sequence[int], before: Sequence[int], after: Sequence[int]) -> Gain:
    """Accuracy of `after` less that of `before`, in points, with its 95 % interval.

    Paired bootstrap over the photos. A photo adds 1, 0 or −1 (now right, no change, now wrong), so that drawing photos
    with replacement is one multinomial draw of three counts. That is too sure of itself where the two differ on few
    photos: with fewer than `FEW` the bounds are exact, and where McNemar's exact test shows no difference the interval
    is made to include 0.

    Args:
        labels: Of each photo.
        before: What one model says of each.
        after: What the other says.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13 (percentile interval)
        McNemar 1947, Note on the sampling error of the difference between correlated proportions (its exact form)
    """
    true, first, second = (np.array(each) for each in (labels, before, after))
    change = (second == true).astype(int) - (first == true)
    won, lost, photos = int((change == 1).sum()), int((change == -1).sum()), len(change)
    if won + lost < FEW:
        low = _lower(won, photos) - _upper(lost, photos)
        high = _upper(won, photos) - _lower(lost, photos)
    else:
        shares = np.array([won, photos - won - lost, lost]) / photos
        counts = np.random.default_rng(0).multinomial(photos, shares, size=DRAWS)
        low, high = np.percentile((counts[:, 0] - counts[:, 2]) / photos, [2.5, 97.5])
        if mcnemar(won, lost) >= LEVEL:
            low, high = min(low, 0.0), max(high, 0.0)
    return {"points": (won - lost) / photos * 100, "low": float(low) * 100, "high": float(high) * 100}


def mcnemar(won: int, lost: int) -> float:
    """The exact test's p-value, two-sided: of photos on which two equal models differ, each wins half."""
    differing = won + lost
    ways = term = 1
    for number in range(min(won, lost)):
        term = term * (differing - number) // (number + 1)
        ways += term
    return min(1.0, 2 * ways / (1 << differing))


def _upper(count: int, photos: int) -> float:
    """The largest share of which seeing `count` or fewer of the photos is not too rare.

    Two such bounds make one end of the interval of a difference, so that each may miss in a quarter of `LEVEL`.

    Source:
        Clopper and Pearson 1934, The use of confidence or fiducial limits illustrated in the case of the binomial
    """
    low, high = count / photos, 1.0
    for _ in range(60):  # halves it down to a double's precision
        share = (low + high) / 2
        seen = sum(math.comb(photos, n) * share**n * (1 - share) ** (photos - n) for n in range(count + 1))
        low, high = (share, high) if seen > LEVEL / 4 else (low, share)
    return high


def _lower(count: int, photos: int) -> float:
    """The smallest share of which seeing `count` or more is not too rare: as many others, counted from above."""
    low, high = 0.0, count / photos
    for _ in range(60):
        share = (low + high) / 2
        fewer = sum(math.comb(photos, n) * share**n * (1 - share) ** (photos - n) for n in range(count))
        low, high = (low, share) if 1 - fewer > LEVEL / 4 else (share, high)
    return low
