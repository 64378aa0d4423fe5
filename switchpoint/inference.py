"""How far apart starts are, over photos and seeds: intervals that hold all at once.

A photo right or wrong under each start and seed: `right` (starts, seeds, photos). The difference of two starts varies
from seed to seed (another training), from photo to photo (another test set), and from one pair of these to the next.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    Array = np.ndarray[Any, Any]

LEVEL = 0.05
DRAWS = 20_000  # of the largest of several t's
MOST_SEEDS, MOST_PHOTOS = 100, 10_000_000  # beyond which nobody goes
POWER = 0.84  # standard errors: what a normal draw falls short of its mean by in one of five cases
BLOCK = 200  # differences whose draws are in memory at once
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


def differences(
    right: Array,
    pairs: Sequence[tuple[int, int]] | None = None,
    level: float = LEVEL,
    unsteady: Collection[int] = (),
) -> list[Difference]:
    """Differences of starts with intervals that all hold together in `1 - level` of the cases.

    With several seeds it is the population of photos and of seeds that the differences are of; with one, the
    population of photos, given that seed's models.

    Two variances add up: of seeds, pooled over the starts as if all varied alike, with few degrees of freedom, and of
    photos, with many. The critical value is the mean of theirs, weighted by them (Cochran and Cox), which errs on the
    safe side.

    Args:
        right: bool (starts, seeds, photos): whether the photo was named right; or shares of several answers.
        pairs: Which starts against which; by default each against all before it.
        level: How often one of the intervals may miss.
        unsteady: Starts that vary from seed to seed as others don't, such as those of which a training diverged: their
            differences go by their own variance, and the others' by one without them.

    Source:
        Cochran and Cox 1950, Experimental Designs, section 4.14 (means with unequal variances)
        Searle, Casella and McCulloch 1992, Variance Components, chapter 4 (crossed components)
        Hothorn, Bretz and Westfall 2008, Simultaneous inference in general parametric models (max-t)
    """
    starts, seeds, photos = right.shape
    pairs = pairs or _all_pairs(starts)
    critical = _Critical(_largest(right, pairs), level)
    result = []
    for start, against in pairs:
        mean, photo_variance, rest = _photos(right[start].astype(float) - right[against])
        seed_variance, freedom = _seeds(right, (start, against), unsteady)
        spread = Spread(seed_variance, photo_variance, rest)
        reach, _ = critical.reach(spread, seeds, photos, freedom)
        share = float(right[start].mean() - right[against].mean())
        result.append(Difference(start, against, share, max(-1.0, mean - reach), min(1.0, mean + reach), spread))
    return result


def needed(
    right: Array,
    pair: tuple[int, int],
    share: float,
    level: float = LEVEL,
    unsteady: Collection[int] = (),
) -> tuple[int | None, int | None]:
    """How many seeds, or how many test photos, it takes to see a difference of `share` in four of five cases.

    What two starts vary by is taken from this run, so the answer is as good as that: from three seeds it is rough.

    Args:
        right: As `differences` takes it.
        pair: The two starts.
        share: In (0, 1).
        level: As `differences` takes it.
        unsteady: As `differences` takes it.

    Returns:
        Seeds on these photos, and photos with these seeds; None where `MOST_SEEDS` or `MOST_PHOTOS` are not enough, or
        where there is one seed, which does not tell how seeds vary.
    """
    starts, seeds, photos = right.shape
    critical = _Critical(_largest(right, _all_pairs(starts)), level)
    _, photo_variance, rest = _photos(right[pair[0]].astype(float) - right[pair[1]])
    seed_variance, freedom = _seeds(right, pair, unsteady)
    own = max(0.0, seed_variance - rest / photos)

    def enough(more_seeds: int, more_photos: int) -> bool:
        spread = Spread(own + rest / more_photos, photo_variance, rest)
        grown = freedom * (more_seeds - 1) // max(seeds - 1, 1)  # with each seed as many degrees more
        reach, error = critical.reach(spread, more_seeds, more_photos, grown)
        return reach + POWER * error <= share

    more_seeds = next((number for number in range(2, MOST_SEEDS + 1) if enough(number, photos)), None)
    numbers = np.unique(np.geomspace(10, MOST_PHOTOS, 500).astype(int))
    more_photos = next((int(number) for number in numbers if enough(seeds, int(number))), None)
    return more_seeds if seeds > 1 else None, more_photos


def _all_pairs(starts: int) -> list[tuple[int, int]]:
    return [(after, before) for before, after in itertools.combinations(range(starts), 2)]


class _Critical:
    """How far an interval reaches: the critical value is the mean of those of seeds and photos, by their variances."""

    def __init__(self, largest: Array, level: float) -> None:
        self._largest, self._level = largest, level
        self._of_photos = _critical(largest, math.inf, level)
        self._of_seeds: dict[int, float] = {0: 0.0}

    def reach(self, spread: Spread, seeds: int, photos: int, freedom: int) -> tuple[float, float]:
        """From the middle of a difference's interval to its end, and the difference's standard error.

        Args:
            spread: What it varies by.
            seeds: How many.
            photos: How many.
            freedom: Degrees of the variance over seeds; 0 where there is one seed.
        """
        if freedom not in self._of_seeds:
            self._of_seeds[freedom] = _critical(self._largest, freedom, self._level)
        parts = spread.seeds / seeds, spread.photos / (photos + len(ADDED))
        error = math.sqrt(sum(parts))
        return (parts[0] * self._of_seeds[freedom] + parts[1] * self._of_photos) / error if error else 0.0, error


def _seeds(right: Array, pair: tuple[int, int], unsteady: Collection[int]) -> tuple[float, int]:
    """By how much a difference of two starts varies from seed to seed, as a variance, and its degrees of freedom.

    It is pooled over all starts but the unsteady ones; of these it is the two starts' own.
    """
    accuracies = right.mean(axis=2)
    seeds = accuracies.shape[1]
    if seeds == 1:
        return 0.0, 0
    steady = [number for number in range(len(right)) if number not in unsteady]
    if not set(pair) <= set(steady):
        return float((accuracies[pair[0]] - accuracies[pair[1]]).var(ddof=1)), seeds - 1
    pooled = accuracies[steady]
    left = pooled - pooled.mean(axis=0) - pooled.mean(axis=1, keepdims=True) + pooled.mean()
    freedom = (len(steady) - 1) * (seeds - 1)
    return float(2 * (left**2).sum() / freedom), freedom


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
    # As much of each start's own as keeps starts apart that agree on all photos: of those nothing is known.
    covariance = np.cov(right.mean(axis=1)) + np.eye(starts) / photos
    drawn = _normal(starts) @ np.linalg.cholesky(covariance).T
    largest = np.zeros(len(drawn))
    for first in range(0, len(pairs), BLOCK):
        after, before = np.array(pairs[first : first + BLOCK]).T
        scale = np.sqrt(covariance[after, after] + covariance[before, before] - 2 * covariance[after, before])
        largest = np.maximum(largest, np.abs((drawn[:, after] - drawn[:, before]) / scale).max(axis=1))
    return largest


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
