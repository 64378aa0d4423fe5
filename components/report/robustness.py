"""Starts on corrupted photos: one sentence, one graph, and the numbers."""

from __future__ import annotations

import itertools
from statistics import mean
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from components.report import charts
from components.report.wording import percent, points, start, unbroken
from switchpoint.errors import RecordsError, again
from switchpoint.inference import differences
from switchpoint.pages import details, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switchpoint.documents.evaluation import Evaluation, Robustness
    from switchpoint.documents.results import Gain

LABEL, BELOW = 19, 60  # points: from one name to the next, and of the graph's height what is below and above the axes
TITLES = {"noise": "Noise", "blur": "Blur", "brightness": "Brightness", "contrast": "Contrast", "jpeg": "JPEG"}
NAMED = 3  # starts in a list; more are counted


class Tried(NamedTuple):
    """A start on clean and on corrupted photos.

    Attributes:
        switch_epoch: None is transfer learning alone.
        found: What evaluate wrote, a seed each.
    """

    switch_epoch: int | None
    found: Sequence[Robustness]

    @property
    def clean(self) -> float:
        """Accuracy on the photos as they are, meant over seeds."""
        return mean(each["top_1"] for each in self.found)

    @property
    def corrupted(self) -> float:
        """Mean accuracy over corruptions, strengths and seeds."""
        return mean(row["top_1"] for each in self.found for row in each["corrupted"])

    @property
    def name(self) -> str:
        """What a table calls it."""
        return f"epoch {self.switch_epoch}" if self.switch_epoch else "transfer alone"


def section(evaluations: Sequence[Sequence[Evaluation]], chosen: int) -> str:
    """The report's section; empty if nothing was measured.

    Args:
        evaluations: For each start, in the order of the colours, an evaluation a seed.
        chosen: The recommended start's number.

    Raises:
        RecordsError: Starts were tried on different photos.
    """
    starts = tried(evaluations)
    if not starts:
        return ""
    found = starts[0].found[0]
    return f"""<section><h2>Whether it holds off the training distribution</h2>
<p class="prose">{unbroken(sentence(starts, chosen))}</p>
<div class="beside"><figure class="reliability">{graph("robustness", starts)}</figure>
<div><p class="note">{found["photos"]:,} test photos, the same for every start. Corrupted: the mean over
{len(found["corrupted"])} corruptions, which are noise, blur, brightness, contrast and JPEG compression as severities 1,
3 and 5 of <a href="https://arxiv.org/abs/1903.12261">ImageNet-C</a>, brought to the photos' size. Differences are
paired by photo; their intervals hold all at once, in 95 of 100 cases.</p></div></div>
{details("The numbers of this graph, and of each corruption", numbers(starts))}</section>"""


def tried(evaluations: Sequence[Sequence[Evaluation]]) -> list[Tried]:
    """What was measured of each start, in the order given; empty if nothing was.

    Raises:
        RecordsError: Starts were tried on different photos.
    """
    found = [[each["robustness"] for each in seeds] for seeds in evaluations]
    sets = {tuple(each["numbers"]) if each else () for seeds in found for each in seeds}
    if len(sets) > 1:
        raise RecordsError(
            "Only starts that were tried on the same corrupted photos can be compared. Received sets of "
            f"{sorted(map(len, sets))} photos. {again('evaluate')}"
        )
    measured = [[each for each in seeds if each] for seeds in found]
    return [
        Tried(seeds[0]["switch_epoch"] or None, known)
        for seeds, known in zip(evaluations, measured, strict=True)
        if known
    ]


def leads(starts: Sequence[Tried], over: int) -> dict[int, Gain]:
    """How far number `over` is ahead of each other on corrupted photos, in points.

    Paired by photo and seed: a photo counts with the share of its corruptions under which it was named right. The
    intervals hold all at once for every start against every other, so `over` may be chosen by these photos.
    """
    kinds = len(starts[0].found[0]["corrupted"])
    shares = np.array([[each["right"] for each in one.found] for one in starts]) / kinds
    pairs = [(over, other) for other in range(len(starts)) if other != over]
    pairs += [pair for pair in itertools.combinations(range(len(starts)), 2) if over not in pair]
    return {
        each.against: {"points": 100 * each.share, "low": 100 * each.low, "high": 100 * each.high}
        for each in differences(shares, pairs)
        if each.start == over
    }


def sentence(starts: Sequence[Tried], chosen: int = 0) -> str:
    """What corruption leaves of the recommended start, and whether another is ahead of it then.

    Args:
        starts: All of them.
        chosen: The recommended one's number.
    """
    names, top = [start(each.switch_epoch) for each in starts], starts[chosen]
    role = ", the recommended start," if len(starts) > 1 else ""
    text = (
        f"Under corruptions the {percent(top.clean)} of {names[chosen]}{role} on these {top.found[0]['photos']:,} "
        f"photos become {percent(top.corrupted)}"
    )
    if len(starts) == 1:
        return f"{text}."
    best = max(range(len(starts)), key=lambda number: (starts[number].corrupted, number == chosen))
    ahead = leads(starts, best)
    other = chosen if best != chosen else max(ahead, key=lambda number: starts[number].corrupted)
    by = f"{ahead[other]['points']:.1f} points ahead of"
    text += (
        f"; it is the best there, {by} {names[other]}"
        if best == chosen
        else f"; the best there is {names[best]}, {by} it"
    )
    level = [names[number] for number, lead in ahead.items() if round(lead["low"], 1) <= 0]
    if len(level) == len(ahead) > 1:
        level = ["any other start"]
    elif len(level) > NAMED:
        level = [f"{len(level)} of the {len(ahead)} other starts"]
    told = f"not told apart from {listed(level)}" if level else "told apart from every other start"
    return f"{text} (95 % interval {points(ahead[other]['low'])} to {points(ahead[other]['high'])}), {told}."


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def graph(name: str, starts: Sequence[Tried]) -> str:
    """Accuracy on clean against corrupted photos, a point a start in its colour; a line leads to its name beside."""
    x, y = [100 * each.clean for each in starts], [100 * each.corrupted for each in starts]
    height = max(charts.HEIGHT, BELOW + LABEL * len(starts))

    def draw(axes: Any) -> None:
        for limit, values in ((axes.set_xlim, x), (axes.set_ylim, y)):
            margin = max(1.0, 0.1 * (max(values) - min(values)))
            limit(min(values) - margin, max(values) + margin)
        low, high = axes.get_ylim()
        order = sorted(range(len(starts)), key=lambda number: (y[number], x[number]))
        places = spread([(y[number] - low) / (high - low) for number in order], LABEL / (height - BELOW))
        for number, place in zip(order, places, strict=True):
            colour, at = f"#0a0b{number:02x}", (x[number], y[number])
            axes.plot(*at, "o", color=colour, markersize=9, markeredgecolor=charts.PAPER, zorder=5)
            leader = {"arrowstyle": "-", "color": colour, "shrinkA": 3, "shrinkB": 4, "relpos": (0, 0.5)}
            where = {"textcoords": "axes fraction", "verticalalignment": "center", "annotation_clip": False}
            axes.annotate(starts[number].name, at, (1.06, place), arrowprops=leader, **where)
        axes.set_xlabel("Accuracy on clean photos (%)")
        axes.set_ylabel("On corrupted photos (%)")

    return charts.drawn(name, "Accuracy on clean and on corrupted photos", draw, height)


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Rising places in [0, 1], moved until they are `gap` apart: up, and down where the top is reached."""
    risen: list[float] = []
    for place in places:
        risen.append(max([place, *(each + gap for each in risen[-1:])]))
    return [min(place, 1 - gap * above) for above, place in zip(range(len(risen))[::-1], risen, strict=True)]


def numbers(starts: Sequence[Tried]) -> str:
    """Accuracy and calibration error of each start, in all and under each corruption at each strength."""
    names = list(dict.fromkeys(row["corruption"] for row in starts[0].found[0]["corrupted"]))

    def written(start: Tried, measure: Literal["top_1", "ece"]) -> list[str]:
        each = [[100 * row[measure] for row in found["corrupted"]] for found in start.found]
        rows = np.mean(each, axis=0).reshape(len(names), -1)  # (corruptions, strengths)
        clean = 100 * mean(found[measure] for found in start.found)
        return [f"{clean:.1f}", f"{rows.mean():.1f}", *(" / ".join(f"{value:.1f}" for value in row) for row in rows)]

    head = ("Fine-tuning from", "Clean", "Corrupted", *(TITLES.get(name, name) for name in names))
    accuracy, error = ([(each.name, *written(each, measure)) for each in starts] for measure in ("top_1", "ece"))
    return (
        '<p class="note">Each corruption at strengths 1 / 3 / 5.</p>'
        f"<h3>Accuracy in %</h3>{table(head, accuracy, 'numbers cards')}"
        f"<h3>Expected calibration error in points</h3>{table(head, error, 'numbers cards')}"
    )
