"""Rules that choose an epoch inside a training, and a start among several, by the validation photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from components.report.choice import latest
from switchpoint.training.kept import near

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]


class Validated(NamedTuple):
    """What validation says of the starts, transfer learning alone first: each float (starts, seeds, photos).

    Attributes:
        right: Whether each photo was named right.
        likely: The probability that was given to its class.
        loss: In nats.
        late: How often it was named right in the second half of the training.
    """

    right: Array
    likely: Array
    loss: Array
    late: Array


# Of a training's (epochs, photos), right and loss: the epoch's number, from 0.
EPOCHS: dict[str, Callable[[Array, Array], int]] = {
    "highest accuracy": lambda right, loss: max(
        range(len(right)), key=lambda epoch: (right[epoch].mean(), -loss[epoch].mean())
    ),
    "lowest loss": lambda right, loss: int(loss.mean(axis=1).argmin()),
    "last": lambda right, loss: len(right) - 1,
    "latest within one error": lambda right, loss: _within(right.mean(axis=1), right.shape[1]),
    "smoothed accuracy": lambda right, loss: int(np.argmax(_smoothed(right.mean(axis=1)) - 1e-6 * loss.mean(axis=1))),
}


def _smoothed(series: Array) -> Array:
    """Each value with its neighbours, at the ends with the one that there is."""
    return np.array([series[max(0, at - 1) : at + 2].mean(axis=0) for at in range(len(series))])


def _within(accuracy: Array, photos: int) -> int:
    """The last epoch that is within a standard error of the highest accuracy: the product's."""
    highest = float(accuracy.max())
    return max(epoch for epoch, value in enumerate(accuracy) if near(float(value), highest, photos))


def highest(score: Array) -> int:
    """The highest mean; the first of equals."""
    return int(score.mean(axis=(1, 2)).argmax())


def ahead(score: Array, start: int, against: int) -> float:
    """The mean difference over photos, in its standard errors."""
    apart = (score[start] - score[against]).mean(axis=0)
    error = apart.std(ddof=1) / np.sqrt(len(apart))
    return float(apart.mean() / error) if error else 0.0


def cheapest(score: Array, errors: float = 1.0) -> int:
    """The first start that is not further below the highest than so many standard errors of the difference."""
    best = highest(score)
    return next(start for start in range(len(score)) if start == best or ahead(score, best, start) <= errors)


def dearest(score: Array) -> int:
    """The last start that is not further below the highest than a standard error of the difference."""
    best = highest(score)
    return next(s for s in reversed(range(len(score))) if s == best or ahead(score, best, s) <= 1)


def beaten(score: Array, errors: float = 1.0) -> int:
    """The highest, if it is so many standard errors above transfer learning alone; else that."""
    best = highest(score)
    return best if best and ahead(score, best, 0) > errors else 0


def family(score: Array, then: Callable[[Array], int], errors: float = 0.0) -> int:
    """Transfer learning alone, unless the fine-tunings together are above it; then one of these."""
    pooled = np.stack([score[0], score[1:].mean(axis=0)])
    return 1 + then(score[1:]) if ahead(pooled, 1, 0) > errors else 0


def neighbours(score: Array) -> int:
    """The fine-tuning that is highest when each is meant with its neighbours."""
    return highest(_smoothed(score))


STARTS: dict[str, Callable[[Validated], int]] = {
    "highest accuracy": lambda seen: highest(seen.right - 1e-6 * seen.loss),  # of equals the lower loss, as today
    "transfer alone": lambda seen: 0,
    "first start": lambda seen: 1,
    "last start": lambda seen: len(seen.right) - 1,
    "one standard error": lambda seen: cheapest(seen.right),
    "one standard error, latest": lambda seen: latest(seen.right, highest(seen.right - 1e-6 * seen.loss), errors=1),
    "alone must be beaten by 1 error": lambda seen: beaten(seen.right),
    "alone must be beaten by 2 errors": lambda seen: beaten(seen.right, 2.0),
    "lowest loss": lambda seen: highest(-seen.loss),
    "one standard error of loss": lambda seen: cheapest(-seen.loss),
    "highest probability": lambda seen: highest(seen.likely),
    "one standard error of probability": lambda seen: cheapest(seen.likely),
    "highest in the second half": lambda seen: highest(seen.late),
    "one standard error, latest, in the second half": lambda seen: dearest(seen.late),
    "one standard error, latest, of probability": lambda seen: dearest(seen.likely),
    "two standard errors, latest": lambda seen: latest(seen.right, highest(seen.right - 1e-6 * seen.loss), errors=2),
    "highest with its neighbours": lambda seen: neighbours(seen.right),
    "family, then highest": lambda seen: family(seen.right, highest),
    "family, then first": lambda seen: family(seen.right, lambda _: 0),
    "family, then last": lambda seen: family(seen.right, lambda score: len(score) - 1),
    "family, then neighbours": lambda seen: family(seen.right, neighbours),
    "family, then one standard error": lambda seen: family(seen.right, cheapest),
    "family, then latest within one error": lambda seen: family(seen.right, dearest),
    "family, then highest probability": lambda seen: family(seen.likely, highest),
    "family of probability, then latest within": lambda seen: family(seen.likely, dearest),
    "family beyond 1 error, then neighbours": lambda seen: family(seen.right, neighbours, 1.0),
}
