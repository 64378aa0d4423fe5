"""The report's words: the answer in one sentence, the conclusion, and how numbers are written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from components.report.starts import Start, Training
    from switchpoint.documents.results import Gain, Needed, StartResult, Verdict


def percent(share: float | None, digits: int = 1) -> str:
    """0.7134 as 71.3 %."""
    return "–" if share is None else f"{share * 100:.{digits}f} %"


def points(value: float) -> str:
    """A difference in points with its sign; never −0.0."""
    return f"{round(value, 1) + 0.0:+.1f}".replace("-", "−")


def uncertain(gained: Gain) -> bool:
    """Whether the interval, as the reader sees it, includes 0."""
    return bool(round(gained["low"], 1) <= 0 <= round(gained["high"], 1))


def ahead(gained: Gain) -> bool:
    """Whether the interval, as the reader sees it, lies above 0."""
    return bool(round(gained["low"], 1) > 0)


def behind(gained: Gain) -> bool:
    """Whether the interval, as the reader sees it, lies below 0."""
    return bool(round(gained["high"], 1) < 0)


def start(switch_epoch: int | None) -> str:
    """What a start is called in a sentence."""
    return f"fine-tuning from epoch {switch_epoch}" if switch_epoch else "transfer learning alone"


def listed(switch_epochs: Sequence[int | None]) -> str:
    """Several starts in a sentence: `transfer learning alone and fine-tuning from epochs 1, 2 and 4`."""
    epochs = _runs([epoch for epoch in switch_epochs if epoch])
    named = ["transfer learning alone"] * (None in switch_epochs)
    if epochs:
        one = f"epoch{'s' * (' ' in epochs[0])} {epochs[0]}"
        several = f"epochs {', '.join(epochs[:-1])} and {epochs[-1]}" if len(epochs) > 1 else one
        named.append(f"fine-tuning from {several}")
    return " and ".join(named)


def _runs(numbers: Sequence[int]) -> list[str]:
    """Ascending numbers, three and more in a row as `4 to 8`."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][-1] == number - 1:
            found[-1].append(number)
        else:
            found.append([number])
    return [text for run in found for text in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run))]


def capital(text: str) -> str:
    """A sentence's beginning."""
    return text[:1].upper() + text[1:]


def gain(gained: Gain) -> str:
    """A gain over transfer learning alone with its interval."""
    doubt = " includes 0: no difference is shown" if uncertain(gained) else ""
    interval = f"95 % interval {points(gained['low'])} to {points(gained['high'])}{doubt}"
    return f"{points(gained['points'])} points against transfer learning alone ({interval})"


def measured(row: StartResult, photos: int) -> str:
    """What a start's models do on the test photos, and what that is worth."""
    mean = f" on average over {len(row['seeds'])} seeds" if len(row["seeds"]) > 1 else ""
    text = f"names {percent(row['test_accuracy'])} of {photos:,} test photos right{mean}"
    return f"{text}, {gain(row['gain'])}" if row["gain"] else text


class Against(NamedTuple):
    """The recommended start beside others on test, by their switch epochs; None is transfer learning alone.

    Attributes:
        behind: Those that it is shown behind.
        level: Those that it is not told apart from.
    """

    behind: Sequence[int | None]
    level: Sequence[int | None]


def sentence(rows: Sequence[StartResult], verdict: Verdict, against: Against, photos: int) -> str:
    """The answer in one sentence: what to do, a colon, and the numbers.

    Args:
        rows: Transfer learning alone first.
        verdict: All of it but this.
        against: What test says of the recommended start.
        photos: Test photos.
    """
    recommended = verdict["recommended"]
    row = next(each for each in rows if each["switch_epoch"] == recommended)
    told = f"it {measured(row, photos)}"
    if len(rows) == 1:
        return f"{capital(start(None))}: {told}; no switch epoch was tried"
    gaining = [each["switch_epoch"] for each in rows if each["gain"] and ahead(each["gain"])]
    if None in against.behind:  # never of transfer learning alone itself
        lead = f"{capital(start(recommended))} came out worse on test than transfer learning alone"
        others = f"; {listed(gaining)} gains" if gaining else ""
        return f"{lead}: validation recommends it, but {told}{others}"
    if against.behind:
        return f"Validation recommends {start(recommended)}, but on test it is behind {listed(against.behind)}: {told}"
    if recommended is None:
        highest = max(rows[1:], key=lambda each: each["test_accuracy"])
        return (
            f"Stay with transfer learning alone: {told}; {start(highest['switch_epoch'])} {measured(highest, photos)}"
        )
    if verdict["kind"] == "no gain shown":
        lead = "No gain from fine-tuning is shown"
        return f"{lead}: validation recommends {start(recommended)}, which {measured(row, photos)}"
    if recommended not in gaining:
        lead = f"Validation recommends {start(recommended)}, but test shows a gain of {listed(gaining)} alone"
        told = f"{start(recommended)} {measured(row, photos)}"
    else:
        lead = f"Start fine-tuning after epoch {recommended} of transfer learning"
    level = [epoch for epoch in against.level if epoch]
    if level:
        return f"{lead}: {told}, and is not told apart from {listed(level)}"
    return f"{lead}: {told}" + ", and is ahead of every other start" * (len(rows) > 2)


def more(needed: Needed, seeds: int, photos: int) -> str:
    """What it would take to see a difference.

    Args:
        needed: Of two starts.
        seeds: That the run has.
        photos: That it was tested on.
    """
    what = (
        f"a difference of {needed['points']:g} points between {start(needed['start'])} and {start(needed['against'])}"
    )
    ways = []
    for number, has, name in ((needed["seeds"], seeds, "seeds"), (needed["photos"], photos, "test photos")):
        if number is not None and number <= has:
            return f"The test photos would in four of five cases have shown {what}."
        if number is not None:
            ways.append(f"about {_rounded(number):,} {name}")
    if not ways:
        return f"Neither more seeds nor more test photos alone would show {what}."
    unknown = "; how far other seeds would move it, one seed can't tell" if seeds == 1 else ""
    return f"To see {what} takes {', or '.join(ways)}{unknown}."


def _rounded(number: int) -> int:
    """Two digits: it is an estimate."""
    return math.ceil(float(f"{number:.1e}"))


def conclusion(starts: Sequence[Start], chosen: int, verdict: Verdict) -> str:
    """The paragraph that ends the comparison."""
    rows = [each.summary() for each in starts]
    photos, seeds = starts[0].trainings[0].evaluation["photos"], len(rows[0]["seeds"])
    text = [f"{verdict['sentence']}.", f"It is recommended by the validation photos alone: {verdict['why']}."]
    if verdict["validation"]:
        text.append(verdict["validation"])
    if verdict["needed"]:
        text.append(more(verdict["needed"], seeds, photos))
    if others := [row for row in rows[1:] if row["gain"] and row is not rows[chosen]]:
        each = (
            f"{points(row['gain']['points'])} points from epoch {row['switch_epoch']}"
            + " (no difference is shown)" * uncertain(row["gain"])
            for row in others
            if row["gain"]
        )
        text.append(
            f"{'The other fine-tunings' if chosen else 'Fine-tuning'} against transfer learning: {', '.join(each)}."
        )
    text += diverged(starts, seeds)
    if chosen and len(rows) > 2:
        text += untried(rows, chosen, len(starts[0].trainings[0].history["epochs"]))
    best = starts[chosen].published()
    accuracies = [row["val_categorical_accuracy"] for row in best.history["epochs"]]
    if accuracies and accuracies[-1] > max(accuracies[:-1], default=0) and not best.result["diverged"]:
        text.append("Its last epoch is its best: more epochs may improve it.")
    return " ".join(text)


def diverged(starts: Sequence[Start], seeds: int) -> list[str]:
    """A sentence for each training whose loss stopped being a number."""
    return [
        f"{capital(start(each.switch_epoch))}{_of_seed(training) * (seeds > 1)} diverged in its "
        f"epoch {stop['epoch']}, step {stop['step']}, at learning rate {stop['learning_rate']:.2g}: its loss stopped "
        "being a number, and what it had before counts here."
        for each in starts
        for training in each.trainings
        if (stop := training.history["diverged"])
    ]


def _of_seed(training: Training) -> str:
    return f", seed {training.result['seed']},"


def untried(rows: Sequence[StartResult], best: int, epochs: int) -> list[str]:
    """Whether the recommended switch epoch is the first or the last that was tried, though there are others beyond it.

    Args:
        rows: Transfer learning alone first.
        best: The recommended one's number.
        epochs: Of transfer learning: there is no later start.
    """
    switch_epoch = rows[best]["switch_epoch"] or 0
    if best == 1 and switch_epoch > 1:
        return ["Earlier switch epochs than the recommended one were not tried."]
    if best == len(rows) - 1 and switch_epoch < epochs:
        return ["Later switch epochs than the recommended one were not tried."]
    return []


def repeated(counts: Mapping[str, int]) -> str:
    """How many photos are there more than once, by kind as prepare counts them, and what comes of it.

    Args:
        counts: By kind.
    """
    words = {
        "across splits": "in more than one of train, validation and test, which flatters the result",
        "across classes": "in more than one class, which no model can get right",
        "within a class": "more than once in the same class and split",
    }
    found = [(counts[kind], text) for kind, text in words.items() if counts.get(kind)]
    return "; ".join(f"{count:,} photo{'s are' if count > 1 else ' is'} {text}" for count, text in found)


def unbroken(text: str) -> str:
    """Keep each number beside its unit."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" points", "\N{NO-BREAK SPACE}points")
