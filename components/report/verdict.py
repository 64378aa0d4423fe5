"""The verdict: what validation recommends, what test says of it, and what it would take to know more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from components.report.inference import needed
from components.report.wording import ahead, behind, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from components.report.choice import Choice
    from components.report.inference import Difference
    from components.report.starts import Start
    from switchpoint.documents import Gain, Needed, Verdict

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
    highest = int(np.argmax(on_test.mean(axis=(1, 2))))
    left = [number for number in range(len(starts)) if number == highest or not _below(number, highest, apart)]
    kind: Literal["shown best", "set", "no gain shown"] = "set"
    if not any(start.gain and ahead(start.gain) for start in starts):
        kind = "no gain shown"
    elif left == [highest]:
        kind = "shown best"
    judged: Verdict = {
        "kind": kind,
        "starts": [starts[number].switch_epoch for number in left],
        "recommended": starts[choice.start].switch_epoch,
        "why": choice.why,
        "sentence": "",
        "needed": None if kind == "shown best" else _needed(starts, on_test, left, choice.start, highest),
        "validation": choice.warning,
    }
    judged["sentence"] = ": ".join(sentence([start.summary() for start in starts], judged, on_test.shape[2]))
    return judged


def _below(number: int, highest: int, apart: Sequence[Difference]) -> bool:
    """Whether a start is shown to be behind the one that is highest on test."""
    for each in apart:
        if (each.start, each.against) == (highest, number):
            return ahead(points(each))
        if (each.start, each.against) == (number, highest):
            return behind(points(each))
    return False


def _needed(
    starts: Sequence[Start], on_test: np.ndarray[Any, Any], left: Sequence[int], chosen: int, highest: int
) -> Needed | None:
    """What would tell the chosen start from its nearest rival: the highest on test, or the next one."""
    rivals = [number for number in left if number != chosen]
    if not rivals:
        return None
    rival = highest if highest in rivals else max(rivals, key=lambda number: float(on_test[number].mean()))
    seeds, photos = needed(on_test, (rival, chosen), WORTH_SEEING / 100)
    return {
        "start": starts[rival].switch_epoch,
        "against": starts[chosen].switch_epoch,
        "points": WORTH_SEEING,
        "seeds": seeds,
        "photos": photos,
    }
