"""What test accuracy is without the test photos that are in training or validation, too."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from components.report.wording import capital, percent, points, start, unbroken
from switchpoint.pages import details, table

if TYPE_CHECKING:
    from components.report.starts import Comparison, Start
    from switchpoint.documents.results import Leaked


def without(starts: Sequence[Start], leaked: Sequence[int]) -> Leaked | None:
    """Each start's test accuracy with and without them, meant over the seeds.

    Args:
        starts: Transfer learning alone first.
        leaked: Their places among the test photos.

    Returns:
        None where there are none.
    """
    if not leaked:
        return None
    kept = np.ones(starts[0].trainings[0].evaluation["photos"], bool)
    kept[list(leaked)] = False

    def accuracy(each: Start) -> float | None:
        answers = (training.evaluation for training in each.trainings)
        return mean(float(np.equal(one["labels"], one["predicted"])[kept].mean()) for one in answers)

    return {
        "photos": len(leaked),
        "starts": [
            {
                "switch_epoch": each.switch_epoch,
                "test_accuracy": mean(training.evaluation["top_1"] for training in each.trainings),
                "without": accuracy(each) if kept.any() else None,
            }
            for each in starts
        ],
    }


def sentence(found: Leaked, chosen: int, every: int) -> str:
    """What it does to the recommended start.

    Args:
        found: From `without`.
        chosen: The recommended start's number.
        every: Test photos.
    """
    row, count = found["starts"][chosen], found["photos"]
    which = f"{count:,} of {every:,} test photos {'is' if count == 1 else 'are'} in training or validation, too"
    if row["without"] is None:
        return f"{which}: the test figures say nothing."
    change = points((row["without"] - row["test_accuracy"]) * 100)
    return (
        f"{which}. Without {'it' if count == 1 else 'them'} {start(row['switch_epoch'])} names "
        f"{percent(row['without'])} right, not {percent(row['test_accuracy'])} ({change} points)."
    )


def told(compared: Comparison) -> str:
    """That sentence, and all starts for who asks; nothing where no test photo leaked."""
    found = compared.document["leaked"]
    if found is None:
        return ""
    body = [
        (
            capital(start(each["switch_epoch"])),
            percent(each["test_accuracy"]),
            percent(each["without"]),
            "–" if each["without"] is None else points((each["without"] - each["test_accuracy"]) * 100),
        )
        for each in found["starts"]
    ]
    head = ("Start", "All test photos", "Without the leaked ones", "Difference (points)")
    numbers = details("Every start with and without them", table(head, body))
    said = unbroken(sentence(found, compared.chosen, compared.document["photos"]["test"]))
    return f"""<p class="prose"><strong>{said}</strong> All other figures count them; <code>--leaks drop</code> trains
without their copies.</p>{numbers}"""
