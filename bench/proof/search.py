"""What successive halving spends and loses against a sweep: `make proof ONLY=search`.

A rung is the beginning of a sweep's training, so everything is trained once, to the end, and both searches are read
from it. On photos drawn from two real sets, every epoch of transfer learning at two learning rates, five seeds. A
seed's sweep is kept in a file, so that a killed run goes on. Of the same trainings, what `better` would try.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from bench.intervals import Interval, over_seeds
from bench.proof import samples
from switchpoint.command import parameters
from switchpoint.data.manifest import read_manifest
from switchpoint.training import rungs
from switchpoint.training.kept import near

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from switchpoint.documents.training import History

    Array = np.ndarray[Any, Any]
    Key = tuple[int, float]  # switch epoch and learning rate; both 0: transfer learning alone

SEEDS, RATES, EPOCHS = (1, 2, 3, 4, 5), (1e-4, 3e-4), 10
SETTINGS: dict[str, Any] = {
    "backbone": "efficientnet_lite0",
    "image_size": 48,
    "transfer_epochs": 8,
    "finetune_epochs": EPOCHS,
    "switch_epochs": [*range(1, 9)],
    "mixed_precision": "off",
}
# Photos of which, a class, 24 and 20 train, 6 and 5 validate, 70 and 15 test.
DRAWN = (samples.Kind("food101-mini", 12, 30, 0.2, 70), samples.Kind("food101-64px", 12, 25, 0.2, 15))
ALONE: Key = (0, 0.0)
BETTERS = (ALONE, *((start, 3e-4) for start in (1, 2, 4, 8)))  # the candidates of `better` up to that epoch


class Tried(NamedTuple):
    """A training to its end.

    Attributes:
        history: As finetune writes it; of it what a search looks at.
        validation: bool (photos): which the kept model named right.
        test: The same of the test photos.
    """

    history: History
    validation: Array
    test: Array


def run(photos: Path, directory: Path) -> str:
    """Train what is not there yet, and compare."""
    directory.mkdir(parents=True, exist_ok=True)
    table, notes = [HEAD], []
    for kind in DRAWN:
        # Of another kind, or size, other photos lie there.
        records = directory / "-".join(map(str, ["drawn", SETTINGS["image_size"], *kind]))
        if not records.exists():
            samples.write(1, samples.pool(photos, kind.dataset, directory, SETTINGS["image_size"]), records, kind)
        seeds = [_sweep(records, seed, directory / f"{kind.dataset}-{seed}.npz") for seed in SEEDS]
        few = [{key: tried for key, tried in seed.items() if key in BETTERS} for seed in seeds]
        table += [row(kind.dataset, seeds), row(f"{kind.dataset}, `better`'s starts", few)]
        notes += [f"- {kind.dataset}: {each}" for each in (*early(seeds), *rules(seeds))]
    return "\n".join([*table, "", *notes])


def _sweep(records: Path, seed: int, file: Path) -> dict[Key, Tried]:
    settings = {**SETTINGS, "rates": list(RATES), "photos": records.name}
    if not file.exists() or json.loads(str(np.load(file)["settings"])) != settings:
        import keras

        keras.utils.clear_session()
        arrays: dict[str, Any] = {"settings": np.array(json.dumps(settings))}
        for (epoch, rate), tried in _trained(records, seed):
            name = f"{epoch}/{rate}"
            arrays |= {f"{name}/validation": tried.validation, f"{name}/test": tried.test}
            arrays[f"{name}/history"] = np.array(json.dumps(tried.history))
        partial = file.with_suffix(".part.npz")
        np.savez_compressed(partial, **arrays)
        partial.replace(file)
    with np.load(file) as kept:
        names = dict.fromkeys(name.rpartition("/")[0] for name in kept.files if "/" in name)
        return {
            (int(name.split("/")[0]), float(name.split("/")[1])): Tried(
                json.loads(str(kept[f"{name}/history"])), kept[f"{name}/validation"], kept[f"{name}/test"]
            )
            for name in names
        }


def _trained(records: Path, seed: int) -> Iterator[tuple[Key, Tried]]:
    """Transfer learning of a seed, and every candidate."""
    from bench.proof import trainings
    from switchpoint.training import loop
    from switchpoint.training.streams import stream

    manifest = read_manifest(records)
    every: list[Any] = []
    for rate in RATES:
        given = parameters.resolve("better", SETTINGS | {"seed": seed, "finetune_learning_rate": [rate]})
        loop.deterministic(stream(seed, "finetune"))
        net = trainings.built(manifest, given)
        with tempfile.TemporaryDirectory() as temporary:
            logs = Path(temporary, "logs")
            if not every:
                every, features = trainings.transfer(net, records, given, logs)
                held_out = [trainings.answers(trainings.softmax(features["validation"][0], *head),
                                              features["validation"][1]) for head in every]  # fmt: skip
                right, loss = zip(*held_out, strict=True)
                best = _kept([each.mean() for each in right], len(right[0]))
                tested = trainings.answers(
                    trainings.softmax(features["test"][0], *every[best - 1]), features["test"][1]
                )
                rows = [(r.mean(), n.mean()) for r, n in zip(right, loss, strict=True)]
                alone = _history(0, 0.0, seed, rows, [], diverged=False)
                yield ALONE, Tried(alone, right[best - 1], tested[0])
            for start in given["switch_epochs"]:
                trained = trainings.tuned(net, records, given, every[start - 1], logs)
                rows = [(each["val_categorical_accuracy"], each["val_loss"]) for each in trained.rows]
                answers = [
                    trainings.answered(net, records, split, given["batch_size"])[0] for split in trainings.SPLITS
                ]
                history = _history(start, rate, seed, rows, trained.seconds, bool(trained.diverged))
                yield (start, rate), Tried(history, *answers)


def _history(
    start: int,
    rate: float,
    seed: int,
    rows: Sequence[tuple[float, float]],
    seconds: Sequence[float],
    diverged: bool,
) -> History:
    document = {
        "switch_epoch": start,
        "learning_rate": rate,
        "seed": seed,
        "epochs": [{"val_categorical_accuracy": float(right), "val_loss": float(loss)} for right, loss in rows],
        "seconds": list(seconds),
        "diverged": diverged,
    }
    return cast("History", document)


def _kept(accuracies: Sequence[float], photos: int) -> int:
    """The epoch, from 1, that a training keeps."""
    best = 0
    for epoch, accuracy in enumerate(accuracies, 1):
        if near(accuracy, max(accuracies[:epoch]), photos):
            best = epoch
    return best


def until(tried: Tried, epochs: int) -> History:
    """A training's history as its rung's end has it."""
    rows = tried.history["epochs"][:epochs]
    best = _kept([row["val_categorical_accuracy"] for row in rows], len(tried.validation))
    kept = {
        "epochs": rows,
        "seconds": tried.history["seconds"][:epochs],
        "best_epoch": best,
        "validation_accuracy": rows[best - 1]["val_categorical_accuracy"],
        "validation_loss": rows[best - 1]["val_loss"],
    }
    return cast("History", {**tried.history, **kept})


def searched(sweep: Mapping[Key, Tried], ends: Sequence[int]) -> tuple[list[Key], int, float]:
    """Who is left, and the epochs and seconds that the search spent on one seed, to the end of those that are left.

    Args:
        sweep: Of one seed.
        ends: The epoch at which each rung ends.
    """
    left, before, epochs, seconds = [key for key in sweep if key != ALONE], 0, 0, 0.0
    for end in [*ends, EPOCHS]:
        epochs += len(left) * (end - before)
        seconds += sum(sum(sweep[key].history["seconds"][before:end]) for key in left)
        if end < EPOCHS:
            left = [rungs.candidate(each) for each in rungs.survivors([until(sweep[key], end) for key in left])]
        before = end
    return left, epochs, seconds


def chosen(seeds: Sequence[Mapping[Key, Tried]], candidates: Sequence[Key]) -> Key:
    """What the report recommends of these candidates, by validation: each start at its best rate, then the rule."""
    from components.report.choice import choose
    from components.report.starts import rank

    best = [ALONE]
    for _, same in itertools.groupby(sorted(candidates), key=lambda key: key[0]):
        right = {key: sum(int(seed[key].validation.sum()) for seed in seeds) for key in same}
        best.append(min(right, key=lambda key: rank(right[key], _trainings(seeds, key))))
    held_out = np.array([[seed[key].validation for seed in seeds] for key in best])
    return best[choose(held_out, [_trainings(seeds, key) for key in best]).start]


class _Training(NamedTuple):
    history: History
    result: Mapping[str, Any]


def _trainings(seeds: Sequence[Mapping[Key, Tried]], key: Key) -> list[Any]:
    """As the report's choice takes those of one candidate."""
    whole = [until(seed[key], SETTINGS["transfer_epochs"] if key == ALONE else EPOCHS) for seed in seeds]
    return [_Training(history, {"diverged": history["diverged"]}) for history in whole]


HEAD = """| photos | seeds | epochs | seconds | rank correlation | regret, points | the same choice | not told apart |
|---|--:|--:|--:|--:|--:|--:|--:|"""


def row(name: str, seeds: Sequence[Mapping[Key, Tried]]) -> str:
    """Runs of one seed each, and runs of all seeds of which each is once the one that is searched."""
    ends = [rungs.until(EPOCHS, rung) for rung in range(1, len(rungs.TENTHS) + 1)]
    candidates = [key for key in seeds[0] if key != ALONE]
    correlation = "; ".join(f"{np.mean([correlated(each, end) for each in seeds]):.2f}" for end in ends)
    lines = []
    runs = {1: [([seed], seed) for seed in seeds], len(seeds): [(list(seeds), first) for first in seeds]}
    for number, tried in runs.items():
        shares, times, lost, same, near_ = [], [], [], [], []
        for trained, first in tried:
            left, epochs, seconds = searched(first, ends)
            others = [seed for seed in trained if seed is not first]
            epochs += len(others) * len(left) * EPOCHS
            seconds += sum(sum(seed[key].history["seconds"]) for seed in others for key in left)
            shares.append(epochs / (len(candidates) * EPOCHS * len(trained)))
            times.append(seconds / sum(sum(seed[key].history["seconds"]) for seed in trained for key in candidates))
            ours, sweeps = chosen(trained, left), chosen(trained, candidates)
            of = {key: np.array([seed[key].test for seed in trained]) for key in {ours, sweeps}}
            lost.append(100 * float(of[sweeps].mean() - of[ours].mean()))
            same.append(ours == sweeps)
            near_.append(ours == sweeps or not _apart(of[sweeps], of[ours]))
        # Of one seed each the runs are five; of all seeds they are the same trainings, so there is no interval.
        told = _told(over_seeds(lost)) if number == 1 else f"{np.mean(lost):+.1f}"
        lines.append(
            f"| {name} | {number} | {np.mean(shares):.0%} | {np.mean(times):.0%} | {correlation} | {told} "
            f"| {sum(same)} of {len(same)} | {sum(near_)} of {len(near_)} |"
        )
    return "\n".join(lines)


def _told(found: Interval) -> str:
    return f"{found.mean:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"


def _apart(one: Array, other: Array) -> bool:
    """Whether the report would tell two candidates apart on the test photos."""
    from switchpoint.inference import differences

    (found,) = differences(np.array([one, other]))
    return not found.low <= 0 <= found.high


def correlated(sweep: Mapping[Key, Tried], end: int) -> float:
    """Spearman's rank correlation of the candidates' validation accuracies at a rung's end with those at the end."""
    from scipy.stats import spearmanr

    keys = [key for key in sweep if key != ALONE]
    at = [[until(sweep[key], epochs)["validation_accuracy"] for key in keys] for epochs in (end, EPOCHS)]
    return float(spearmanr(*at).statistic)


def early(seeds: Sequence[Mapping[Key, Tried]]) -> Iterator[str]:
    """Whether the first rung favours late starts, where it ends with the warm-up and where it ends later."""
    for end in (2, 3, 4):
        moved, agree = [], []
        for sweep in seeds:
            keys = [key for key in sweep if key != ALONE]
            first, last = (
                [rungs.candidate(each) for each in rungs.survivors([until(sweep[key], epochs) for key in keys])]
                for epochs in (end, EPOCHS)
            )
            moved.append(float(np.mean([epoch for epoch, _ in first]) - np.mean([epoch for epoch, _ in last])))
            agree.append(len(set(first) & set(last)) / len(first))
        yield (
            f"a first rung of {end} epochs keeps starts that are {_told(over_seeds(moved))} epochs later than "
            f"the better half at the end, and {np.mean(agree):.0%} of that half"
        )


def rules(seeds: Sequence[Mapping[Key, Tried]]) -> Iterator[str]:
    """What rules that choose a start at one rate lose against the best in hindsight, by the number of seeds.

    A start's accuracy is that on the test photos under all seeds, also where fewer were seen by the rule.
    """
    from components.report.choice import choose, latest

    for number in range(1, len(seeds) + 1):
        lost: dict[str, list[float]] = {name: [] for name in ("highest", "within one", "the report's", "last")}
        for rate, some in itertools.product(RATES, itertools.combinations(seeds, number)):
            keys = [ALONE, *((start, rate) for start in SETTINGS["switch_epochs"])]
            held_out = np.array([[seed[key].validation for seed in some] for key in keys])
            accuracy = np.array([np.mean([seed[key].test.mean() for seed in seeds]) for key in keys])
            highest = int(held_out.mean(axis=(1, 2)).argmax())
            ours = choose(held_out, [_trainings(some, key) for key in keys]).start
            starts = highest, latest(held_out, highest, errors=1), ours, len(keys) - 1
            for name, start in zip(lost, starts, strict=True):
                lost[name].append(100 * float(accuracy.max() - accuracy[start]))
        yield f"rules by {number} seeds lose " + ", ".join(f"{name}: {np.mean(of):.2f}" for name, of in lost.items())
