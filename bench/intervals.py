"""What a mean of paired differences is worth: 95 % intervals over seeds and over photos."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

DRAWS = 10_000  # of the bootstrap


class Interval(NamedTuple):
    """A mean and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float


def over_seeds(differences: Sequence[float]) -> Interval:
    """Student's interval of the mean of one difference a seed; two seeds or more.

    It is of the seeds' draws alone: photos, to train and to test, are the same for all of them.
    """
    values = np.asarray(differences, float)
    half = student(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Interval(float(values.mean()), float(values.mean()) - half, float(values.mean()) + half)


def over_photos(differences: "np.ndarray[Any, Any]") -> Interval:
    """Paired bootstrap over test photos: (photos,), one difference each, such as the mean over the seeds.

    It says how much the mean would move with other test photos of the same kind, for the very same trainings.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13 (percentile interval)
    """
    photos = len(differences)
    drawn = np.random.default_rng(0).integers(photos, size=(DRAWS, photos))
    low, high = np.percentile(differences[drawn].mean(axis=1), [2.5, 97.5])
    return Interval(float(differences.mean()), float(low), float(high))


def student(degrees: int) -> float:
    """The 97.5 % quantile of Student's t: its density, integrated, halved in on until it holds 47.5 % above 0."""
    scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(degrees * math.pi)
    low, high = 0.0, 16.0  # one degree: 12.7
    for _ in range(40):
        middle = (low + high) / 2
        x = np.linspace(0, middle, 4001)
        held = float(np.trapezoid(scale * (1 + x**2 / degrees) ** (-(degrees + 1) / 2), x))
        low, high = (middle, high) if held < 0.475 else (low, middle)
    return low
