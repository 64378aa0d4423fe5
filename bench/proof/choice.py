"""What rules that choose a start lose, on small data sets drawn from real photos: `make proof ONLY=choice`.

Each draw is trained on from several starts, and its outcome kept in a file, so that rules are compared without training
again. All photos that no training saw are alike, so which of them validate is drawn anew many times, and the others
measure: the luck of one validation set is averaged out, and any size of it can be tried. A rule's regret is the test
accuracy of the best start in hindsight less that of the start that the rule chose.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.intervals import over_seeds
from bench.proof.rules import EPOCHS, STARTS, Validated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Array = np.ndarray[Any, Any]

TODAY = ("highest accuracy", "highest accuracy")
DEFAULT = ("latest within one error", "two standard errors, latest")
SIZES = (12, 24, 48, 96)
REDRAWN = 200  # validation sets of a draw
HALVES = 1000  # ways to cut the draws in two


class Trained(NamedTuple):
    """What one start of a draw came to on all photos that were not trained on.

    Attributes:
        right: bool (seeds, epochs, photos).
        loss: The same, in nats.
    """

    right: Array
    loss: Array


class Outcome(NamedTuple):
    """A draw.

    Attributes:
        starts: Transfer learning alone first.
        validation: How many photos validate.
        photos: How many train and validate.
        seconds: Of a core, that it took.
    """

    starts: list[Trained]
    validation: int
    photos: int
    seconds: float


class Row(NamedTuple):
    """What a rule comes to over all draws, in points.

    Attributes:
        epoch: The rule for the epoch.
        start: The rule for the start.
        accuracy: Test accuracy of what it chose.
        regret: What the best start in hindsight has more; the least that it can be, since luck helps that start.
        saved: Today's regret less this one.
        error: Half of the 95 % interval of `saved`, over draws.
    """

    epoch: str
    start: str
    accuracy: float
    regret: float
    saved: float
    error: float


class Found(NamedTuple):
    """What the rules come to, a draw each, in points.

    Attributes:
        accuracy: Of each pair of rules, for the epoch and for the start.
        hindsight: Of the start, with any rule's epoch, that is best on the test photos.
        honest: Of the one that is best on half of the test photos, on the others: there is no luck in it.
    """

    accuracy: dict[tuple[str, str], Array]
    hindsight: Array
    honest: Array


def run(draws: int, seeds: int, photos: Path, directory: Path) -> str:
    """Train on the draws that are not done yet, a seed after the other, and give the table."""
    import tensorflow as tf

    from bench.proof.trainings import Network, train

    tf.config.threading.set_intra_op_parallelism_threads(2)
    networks: dict[tuple[int, int], Network] = {}
    for seed in range(1, seeds + 1):
        for draw in range(1, draws + 1):
            train(draw, seed, photos, directory, networks)
    return table(outcomes(directory))


def outcomes(directory: Path) -> list[Outcome]:
    """The draws that are done."""
    of_draw: dict[str, list[dict[str, Array]]] = defaultdict(list)
    for path in sorted(directory.glob("draw-*[0-9].npz")):
        with np.load(path) as file:
            of_draw[path.stem.rpartition("-")[0]].append(dict(file))
    return [outcome(seeds) for seeds in of_draw.values()]


def outcome(seeds: list[dict[str, Array]]) -> Outcome:
    """A draw, from what each seed's file holds."""
    described = [json.loads(str(seed["described"])) for seed in seeds]
    numbers = sorted(int(name.split("-")[1]) for name in seeds[0] if name.startswith("test") and "right" in name)

    def together(number: int, what: str) -> Array:
        splits = ("validation", "test")
        return np.array(
            [np.concatenate([seed[f"{split}-{number}-{what}"] for split in splits], axis=1) for seed in seeds]
        )

    starts = [Trained(together(number, "right"), together(number, "loss").astype(float)) for number in numbers]
    photos = described[0]["classes"] * described[0]["photos"]
    return Outcome(starts, seeds[0]["validation-0-right"].shape[1], photos, sum(each["seconds"] for each in described))


def redrawn(drawn: Outcome, validation: int | None, times: int) -> Iterator[tuple[Array, Array]]:
    """The numbers of the photos that validate, and of those that measure."""
    random = np.random.default_rng(drawn.photos)
    photos = drawn.starts[0].right.shape[2]
    for _ in range(times):
        order = random.permutation(photos)
        size = validation or drawn.validation
        yield order[:size], order[size:]


def seen(drawn: Outcome, chosen: Array, epoch_rule: str) -> tuple[Validated, Array]:
    """The starts with an epoch of each training as a rule chooses it: by validation, and right on all photos."""
    kept = []
    for start in drawn.starts:
        right, loss = start.right[..., chosen], start.loss[..., chosen]
        epochs = [EPOCHS[epoch_rule](*seed) for seed in zip(right, loss, strict=True)]
        seeds = range(len(epochs))
        late = right[:, right.shape[1] // 2 :].mean(axis=1)
        kept.append((right[seeds, epochs], loss[seeds, epochs], late, start.right[seeds, epochs].mean(axis=0)))
    right, loss, late, everywhere = (np.array(part, float) for part in zip(*kept, strict=True))
    return Validated(right, np.exp(-loss), loss, late), everywhere


def found(drawn: list[Outcome], validation: int | None = None, times: int = REDRAWN) -> Found:
    """Try every rule on every draw.

    Args:
        drawn: From `outcomes`.
        validation: How many photos validate, if not as many as did.
        times: How often they are drawn anew.
    """
    accuracy: dict[tuple[str, str], list[float]] = {(epoch, start): [] for epoch in EPOCHS for start in STARTS}
    best: list[float] = []
    honest: list[float] = []
    for one in drawn:
        of_redraws = defaultdict(list)
        for chosen, others in redrawn(one, validation, times):
            candidates = []
            for epoch_rule in EPOCHS:
                validated, everywhere = seen(one, chosen, epoch_rule)
                candidates.append(everywhere)
                test = everywhere[:, others].mean(axis=1)
                for name, rule in STARTS.items():
                    of_redraws[epoch_rule, name].append(test[rule(validated)])
            every = np.concatenate(candidates)
            halves = every[:, others[::2]].mean(axis=1), every[:, others[1::2]].mean(axis=1)
            of_redraws["best", ""].append(every[:, others].mean(axis=1).max())
            of_redraws["honest", ""].append((halves[1][halves[0].argmax()] + halves[0][halves[1].argmax()]) / 2)
        for pair, values in accuracy.items():
            values.append(100 * float(np.mean(of_redraws[pair])))
        best.append(100 * float(np.mean(of_redraws["best", ""])))
        honest.append(100 * float(np.mean(of_redraws["honest", ""])))
    return Found({pair: np.array(values) for pair, values in accuracy.items()}, np.array(best), np.array(honest))


def compared(of_draws: Found) -> list[Row]:
    """The least regret first."""
    rows = []
    for pair, accuracy in of_draws.accuracy.items():
        saved = over_seeds((accuracy - of_draws.accuracy[TODAY]).tolist())  # one difference a draw
        regret = float((of_draws.hindsight - accuracy).mean())
        rows.append(Row(*pair, float(accuracy.mean()), regret, saved.mean, saved.high - saved.mean))
    return sorted(rows, key=lambda row: row.regret)


def chosen_on_half(of_draws: Found) -> float:
    """What the rule that is best on half of the draws saves on the others, in points, meant over many halves."""
    saved = np.array(list(of_draws.accuracy.values())) - of_draws.accuracy[TODAY]
    random, draws = np.random.default_rng(1), saved.shape[1]
    on_others = []
    for _ in range(HALVES):
        order = random.permutation(draws)
        winner = saved[:, order[: draws // 2]].mean(axis=1).argmax()
        on_others.append(saved[winner, order[draws // 2 :]].mean())
    return float(np.mean(on_others))


def sizes(drawn: list[Outcome]) -> str:
    """As Markdown: what rules that look and rules that do not choose, by how many photos validate."""
    shown = [TODAY, *((TODAY[0], start) for start in ("transfer alone", "last start")), DEFAULT]
    lines = [f"| photos | {' | '.join(', '.join(pair) for pair in shown)} |", "|--:|" + "--:|" * len(shown)]
    for photos in SIZES:
        of_draws = found(drawn, photos, times=REDRAWN // 2)
        lines.append(f"| {photos} | {' | '.join(f'{of_draws.accuracy[pair].mean():.1f}' for pair in shown)} |")
    return "\n".join(lines)


def table(drawn: list[Outcome]) -> str:
    """As Markdown: every rule, and what choosing one among them is worth."""
    of_draws = found(drawn)
    lines = ["| epoch | start | accuracy | regret | saved |", "|---|---|--:|--:|--:|"]
    lines += [
        f"| {row.epoch} | {row.start} | {row.accuracy:.1f} | {row.regret:.1f} | {row.saved:+.1f} ± {row.error:.1f} |"
        for row in compared(of_draws)
    ]
    minutes = sum(one.seconds for one in drawn) / 60
    return "\n".join(
        [
            *lines,
            "",
            f"{len(drawn)} draws, {minutes:.0f} minutes of one core.",
            f"Best in hindsight {of_draws.hindsight.mean():.1f}, without luck {of_draws.honest.mean():.1f}.",
            f"The rule that is best on half of the draws saves {chosen_on_half(of_draws):+.1f} on the others.",
        ]
    )
