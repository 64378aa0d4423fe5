"""What the cross-validation came to: the best candidate, and the table that docs/better.md has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

if TYPE_CHECKING:
    from bench.better.candidates import Candidate, Settings
    from bench.better.cells import Results

Interval = tuple[float, float, float]  # mean, low, high


class Start(TypedDict):
    """A candidate from one switch epoch: accuracy in [0, 1], loss in nats a photo, on the held-out photos."""

    accuracy: float
    loss: float
    gain_over_transfer: Interval


class Row(TypedDict):
    """A candidate: `starts` by switch epoch, `gain` over the base from all of them (None: it is the base)."""

    candidate: str
    diverged: int
    starts: dict[int, Start]
    gain: Interval | None


def interval(differences: np.ndarray[Any, Any]) -> Interval:
    """Mean of paired differences and its 95 % interval over the photos (normal)."""
    mean, half = float(differences.mean()), 1.96 * float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return mean, mean - half, mean + half


def gain(results: Results, tried: str, base: str, epochs: tuple[int, ...]) -> Interval:
    """How much more `tried` names right than `base`, over the switch epochs given, photo by photo."""
    return interval(np.mean([results.photos(tried, e) - results.photos(base, e) for e in epochs], axis=0))


def best_of(results: Results, candidates: list[Candidate], settings: Settings) -> Candidate:
    """The candidate with the best mean accuracy over all switch epochs; of those never diverged."""
    sound = [tried for tried in candidates if not results.diverged(str(tried))]
    return max(sound, key=lambda tried: np.mean([results.photos(str(tried), e).mean() for e in settings.switch_epochs]))


def table(results: Results, candidates: list[Candidate], base: Candidate, settings: Settings) -> list[Row]:
    """A row a candidate that is complete."""
    rows: list[Row] = []
    for tried in candidates:
        name = str(tried)
        if not results.complete(name):
            continue
        starts: dict[int, Start] = {}
        for epoch in settings.switch_epochs:
            photos = results.photos(name, epoch)
            starts[epoch] = {
                "accuracy": float(photos.mean()),
                "loss": results.loss(name, epoch),
                "gain_over_transfer": interval(photos - results.photos(tried.alone, 0)),
            }
        gained = gain(results, name, str(base), settings.switch_epochs) if tried != base else None
        rows.append({"candidate": name, "diverged": results.diverged(name), "starts": starts, "gain": gained})
    return rows


def markdown(rows: list[Row], base: Candidate, settings: Settings) -> str:
    """The table as the document has it; gains in points, with 95 % intervals."""

    def points(gained: Interval | None) -> str:
        return "–" if gained is None else "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * value for value in gained))

    titles = ["candidate"]
    for epoch in settings.switch_epochs:
        titles += [f"from {epoch}", "loss", "over transfer alone"]
    lines = [[*titles, f"over {base}", "diverged"]]
    for row in rows:
        line = [row["candidate"]]
        for start in row["starts"].values():
            line += [f"{100 * start['accuracy']:.1f} %", f"{start['loss']:.3f}", points(start["gain_over_transfer"])]
        lines.append([*line, points(row["gain"]), str(row["diverged"])])
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
