"""What the cross-validation came to: the best candidate, and the table that docs/better.md has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from switchpoint.inference import differences

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

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


def contrasts(
    right: Mapping[str, np.ndarray[Any, Any]], pairs: Sequence[tuple[str, str]], unsteady: Collection[str]
) -> dict[str, Interval]:
    """How much more the first of each pair names right than the second, by its name.

    The intervals hold all together in 95 % of the cases, over photos and seeds (given the one, if there is one), as
    `switchpoint.inference` has them. A seed is one training a fold, its photos those of all folds. Other photos to
    train on are not in them, nor that a base was the best of several.

    Args:
        right: By name (seeds, photos), in [0, 1].
        pairs: Names.
        unsteady: Names of those that diverged, whose seeds vary as others' don't.
    """
    if not pairs:
        return {}
    names = list(right)
    found = differences(
        np.stack(list(right.values())),
        [(names.index(name), names.index(against)) for name, against in pairs],
        unsteady=[names.index(name) for name in unsteady],
    )
    return {names[each.start]: (each.share, each.low, each.high) for each in found}


def best_of(results: Results, candidates: list[Candidate], settings: Settings) -> Candidate:
    """The candidate with the best mean accuracy over all switch epochs; of those never diverged."""
    sound = [tried for tried in candidates if not results.diverged(str(tried))]
    return max(sound, key=lambda tried: _of_all_starts(results, tried, settings).mean())


def table(results: Results, candidates: list[Candidate], base: Candidate, settings: Settings) -> list[Row]:
    """A row a candidate that is complete."""
    done = [tried for tried in candidates if results.complete(str(tried))]
    unsteady = [str(tried) for tried in done if results.diverged(str(tried))]
    over_base = contrasts(
        {str(tried): _of_all_starts(results, tried, settings) for tried in done},
        [(str(tried), str(base)) for tried in done if tried != base],
        unsteady,
    )
    starts: dict[str, dict[int, Start]] = {str(tried): {} for tried in done}
    for epoch in settings.switch_epochs:
        right = {tried.alone: results.right(tried.alone, 0) for tried in done}
        right |= {str(tried): results.right(str(tried), epoch) for tried in done}
        over_transfer = contrasts(right, [(str(tried), tried.alone) for tried in done], unsteady)
        for name, of_epochs in starts.items():
            of_epochs[epoch] = {
                "accuracy": float(right[name].mean()),
                "loss": results.loss(name, epoch),
                "gain_over_transfer": over_transfer[name],
            }
    return [
        {"candidate": name, "diverged": results.diverged(name), "starts": of_epochs, "gain": over_base.get(name)}
        for name, of_epochs in starts.items()
    ]


def _of_all_starts(results: Results, tried: Candidate, settings: Settings) -> np.ndarray[Any, Any]:
    """How often each photo was named right from the switch epochs: shares (seeds, photos)."""
    mean: np.ndarray[Any, Any] = np.mean([results.right(str(tried), epoch) for epoch in settings.switch_epochs], axis=0)
    return mean


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
