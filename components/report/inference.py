"""How far apart starts are, over photos and seeds: intervals that hold all at once.

A photo right or wrong under each start and seed: `right` (starts, seeds, photos). The difference of two starts varies
from seed to seed (another training), from photo to photo (another test set), and from one pair of these to the next.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Array = np.ndarray[Any, Any]

LEVEL = 0.05
DRAWS = 20_000  # of the largest of several t's
MOST_SEEDS, MOST_PHOTOS = 100, 10_000_000  # beyond which nobody goes
# Photos added to each comparison, one that each start alone has right: without them, the interval of two starts that
# differ on a handful of photos is too short (Bonett and Price 2012, Adjusted Wald interval for a difference of
# binomial proportions based on paired data).
ADDED = (1.0, -1.0)


class Spread(NamedTuple):
    """What a difference varies by, as variances in squared shares.

    Attributes:
        seeds: From one seed to the next, of the mean over these photos.
        photos: From one photo to the next, of the mean over all seeds.
        rest: Of one photo under one seed, beyond both; it is in `seeds` too, divided by the photos.
    """

    seeds: float
    photos: float
    rest: float


class Difference(NamedTuple):
    """A start's accuracy less another's, in [-1, 1].

    Attributes:
        start: Its number in `right`.
        against: The other's.
        share: As measured.
        low: Of the simultaneous interval.
        high: Of the simultaneous interval.
        spread: What it varies by.
    """

    start: int
    against: int
    share: float
    low: float
    high: float
    spread: Spread


def differences(right: Array, pairs: Sequence[tuple[int, int]] | None = None, level: float = LEVEL) -> list[Difference]:
    """Differences of starts with intervals that all hold together in `1 - level` of the cases.

    With several seeds it is the population of photos and of seeds that the differences are of; with one, the
    population of photos, given that seed's models.

    Two variances add up: of seeds, pooled over the starts, with few degrees of freedom, and of photos, with many. The
    critical value is the mean of theirs, weighted by them (Cochran and Cox), which errs on the safe side.

    Args:
        right: bool (starts, seeds, photos): whether the photo was named right.
        pairs: Which starts against which; by default each against all before it.
        level: How often one of the intervals may miss.

    Source:
        Cochran and Cox 1950, Experimental Designs, section 4.14 (means with unequal variances)
        Searle, Casella and McCulloch 1992, Variance Components, chapter 4 (crossed components)
        Hothorn, Bretz and Westfall 2008, Simultaneous inference in general parametric models (max-t)
    """
    starts, seeds, photos = right.shape
    pairs = pairs or _all_pairs(starts)
    critical = _Critical(_largest(right, pairs), starts, level)
    seed_variance = _seeds(right)
    result = []
    for start, against in pairs:
        mean, photo_variance, rest = _photos(right[start].astype(float) - right[against])
        spread = Spread(seed_variance, photo_variance, rest)
        reach = critical.reach(spread, seeds, photos)
        share = float(right[start].mean() - right[against].mean())
        result.append(Difference(start, against, share, max(-1.0, mean - reach), min(1.0, mean + reach), spread))
    return result


def needed(right: Array, pair: tuple[int, int], share: float, level: float = LEVEL) -> tuple[int | None, int | None]:
    """How many seeds, or how many test photos, make an interval reach no further than `share` to either side.

    What two starts vary by is taken from this run, so the answer is as good as that: from three seeds it is rough.

    Args:
        right: As `differences` takes it.
        pair: The two starts.
        share: In (0, 1).
        level: As `differences` takes it.

    Returns:
        Seeds on these photos, and photos with these seeds; None where `MOST_SEEDS` or `MOST_PHOTOS` are not enough, or
        where there is one seed, which does not tell how seeds vary.
    """
    starts, seeds, photos = right.shape
    critical = _Critical(_largest(right, _all_pairs(starts)), starts, level)
    _, photo_variance, rest = _photos(right[pair[0]].astype(float) - right[pair[1]])
    of_seeds = max(0.0, _seeds(right) - rest / photos)

    def fits(seeds: int, photos: int) -> bool:
        return critical.reach(Spread(of_seeds + rest / photos, photo_variance, rest), seeds, photos) <= share

    more_seeds = next((number for number in range(2, MOST_SEEDS + 1) if fits(number, photos)), None)
    more_photos = bisect.bisect_left(range(1, MOST_PHOTOS + 1), True, key=lambda number: fits(seeds, number)) + 1
    return more_seeds if seeds > 1 else None, more_photos if more_photos < MOST_PHOTOS else None


def _all_pairs(starts: int) -> list[tuple[int, int]]:
    return [(after, before) for before, after in itertools.combinations(range(starts), 2)]


class _Critical:
    """How far an interval reaches: the critical value is the mean of those of seeds and photos, by their variances."""

    def __init__(self, largest: Array, starts: int, level: float) -> None:
        self._largest, self._starts, self._level = largest, starts, level
        self._of_photos = _critical(largest, math.inf, level)
        self._of_seeds: dict[int, float] = {1: 0.0}

    def reach(self, spread: Spread, seeds: int, photos: int) -> float:
        """From the middle of a difference's interval to its end, with so many seeds and photos."""
        if seeds not in self._of_seeds:
            self._of_seeds[seeds] = _critical(self._largest, (self._starts - 1) * (seeds - 1), self._level)
        parts = spread.seeds / seeds, spread.photos / (photos + len(ADDED))
        total = sum(parts)
        return (parts[0] * self._of_seeds[seeds] + parts[1] * self._of_photos) / math.sqrt(total) if total else 0.0


def _seeds(right: Array) -> float:
    """By how much a difference of two starts varies from seed to seed, as a variance, pooled over all starts."""
    accuracies = right.mean(axis=2)
    starts, seeds = accuracies.shape
    if seeds == 1:
        return 0.0
    left = accuracies - accuracies.mean(axis=0) - accuracies.mean(axis=1, keepdims=True) + accuracies.mean()
    return float(2 * (left**2).sum() / ((starts - 1) * (seeds - 1)))


def _photos(change: Array) -> tuple[float, float, float]:
    """Mean of a difference (seeds, photos), its variance from photo to photo beyond what seeds do, and the rest's.

    `ADDED` is in it.
    """
    seeds = len(change)
    change = np.concatenate([change, np.tile(ADDED, (seeds, 1))], axis=1)
    mean, over_seeds = change.mean(), change.mean(axis=0)
    variance, rest = over_seeds.var(ddof=1), 0.0
    if seeds > 1:
        left = change - over_seeds - change.mean(axis=1, keepdims=True) + mean
        rest = float((left**2).sum() / ((seeds - 1) * (change.shape[1] - 1)))
        variance -= rest / seeds
    return float(mean), max(0.0, float(variance)), rest


def _largest(right: Array, pairs: Sequence[tuple[int, int]]) -> Array:
    """The largest of the differences' standard errors, without signs, in `DRAWS` draws where no start is ahead."""
    starts, _, photos = right.shape
    contrasts = np.zeros((len(pairs), starts))
    for number, (start, against) in enumerate(pairs):
        contrasts[number, start], contrasts[number, against] = 1, -1
    # As much of each start's own as keeps starts apart that agree on all photos: of those nothing is known.
    covariance = np.cov(right.mean(axis=1)) + np.eye(starts) / photos
    drawn = _normal(starts) @ (np.linalg.cholesky(covariance).T @ contrasts.T)
    scale = np.sqrt(np.einsum("ps,st,pt->p", contrasts, covariance, contrasts))
    return np.asarray(np.abs(drawn / scale).max(axis=1))


@functools.cache
def _normal(starts: int) -> Array:
    return np.random.default_rng(0).normal(size=(DRAWS, starts))


@functools.cache
def _chi_square(freedom: float) -> Array:
    return np.random.default_rng(1).chisquare(freedom, DRAWS)


def _critical(largest: Array, freedom: float, level: float) -> float:
    """What the largest of correlated t's exceeds as often as `level` says."""
    if not math.isinf(freedom):
        largest = largest / np.sqrt(_chi_square(freedom) / freedom)
    return float(np.quantile(largest, 1 - level))
