"""The verdict: what validation recommends, what test says of it, and what it would take to know more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from components.report.wording import Against, ahead, behind, sentence
from switchpoint.inference import needed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from components.report.choice import Choice
    from components.report.starts import Start
    from switchpoint.documents.results import Gain, Needed, Verdict
    from switchpoint.inference import Difference

WORTH_SEEING = 2.0  # points: a difference that many would act on


def points(difference: Difference) -> Gain:
    """A difference with its interval, in points."""
    share, low, high = (100 * each for each in (difference.share, difference.low, difference.high))
    return {"points": share, "low": low, "high": high}


def verdict(
    starts: Sequence[Start], on_test: np.ndarray[Any, Any], apart: Sequence[Difference], choice: Choice
) -> Verdict:
    """Judge the starts by test, beside the choice that validation made.

    Args:
        starts: Transfer learning alone first, each with its gain.
        on_test: bool (starts, seeds, photos): whether a test photo was named right.
        apart: Of each start against each before it.
        choice: By validation.
    """
    numbers = range(len(starts))
    shown = {(each.start, each.against): points(each) for each in apart}
    above = {pair for pair, gain in shown.items() if ahead(gain)} | {
        (before, after) for (after, before), gain in shown.items() if behind(gain)
    }
    highest = int(np.argmax(on_test.mean(axis=(1, 2))))
    left = [number for number in numbers if (highest, number) not in above]
    kind: Literal["shown best", "set", "no gain shown"] = "set"
    if not any(start.gain and ahead(start.gain) for start in starts):
        kind = "no gain shown"
    elif left == [highest]:
        kind = "shown best"
    ahead_of_it = [number for number in numbers if (number, choice.start) in above]
    level = [
        number
        for number in numbers
        if number != choice.start and not {(number, choice.start), (choice.start, number)} & above
    ]
    judged: Verdict = {
        "kind": kind,
        "starts": [starts[number].switch_epoch for number in left],
        "recommended": starts[choice.start].switch_epoch,
        "why": choice.why,
        "sentence": "",
        "needed": _needed(starts, on_test, level, choice.start),
        "validation": choice.warning,
    }
    against = Against(*([starts[number].switch_epoch for number in found] for found in (ahead_of_it, level)))
    judged["sentence"] = sentence([start.summary() for start in starts], judged, against, on_test.shape[2])
    return judged


def unsteady(starts: Sequence[Start]) -> list[int]:
    """The starts of which a training diverged: from seed to seed they vary as no other does."""
    return [number for number, start in enumerate(starts) if start.diverged]


def _needed(starts: Sequence[Start], on_test: np.ndarray[Any, Any], level: Sequence[int], chosen: int) -> Needed | None:
    """What would tell the recommended start from the highest of those that it is not told apart from."""
    if not level:
        return None
    rival = max(level, key=lambda number: float(on_test[number].mean()))
    seeds, photos = needed(on_test, (rival, chosen), WORTH_SEEING / 100, unsteady=unsteady(starts))
    return {
        "start": starts[rival].switch_epoch,
        "against": starts[chosen].switch_epoch,
        "points": WORTH_SEEING,
        "seeds": seeds,
        "photos": photos,
    }
