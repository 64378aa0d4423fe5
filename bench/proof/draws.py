"""By how much starts that share their draws differ less from seed to seed than starts that draw each for itself.

Transfer learning once a seed; from each of its epochs fine-tuned twice: with the seed's stream of draws, as the product
does, and with a stream of the start's own. What is measured is the spread, over seeds, of the difference in test
accuracy between two starts. Every result is appended to a file, so a killed run goes on where it was.
"""

from __future__ import annotations

import io
import itertools
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from bench.prepared import prepare_records
from switchpoint.command import parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switchpoint.documents.lineage import Parameters

STARTS, SEEDS = (1, 4, 8), tuple(range(1, 7))
VALUES = {
    "backbone": "efficientnet_lite0",
    "image_size": 48,
    "transfer_epochs": 8,
    "finetune_epochs": 2,
    "switch_epochs": [1, 4, 8],
    "robustness": "off",
}


class Row(TypedDict):
    """What a fine-tuning came to: `shared` says whether it drew what the seed's other starts drew."""

    seed: int
    start: int
    shared: bool
    test_accuracy: float


def measure(photos: Path, directory: Path) -> list[Row]:
    """Train what is not there yet.

    Args:
        photos: A dataset.
        directory: Where records, trainings and the results lie.
    """
    directory.mkdir(parents=True, exist_ok=True)
    values = parameters.resolve("better", {"dataset": str(photos), **VALUES})
    records = directory / "records"
    if not records.exists():
        with redirect_stdout(io.StringIO()):
            prepare_records(photos, records, image_size=values["image_size"])
    file = directory / "draws.jsonl"
    rows: list[Row] = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    known = {(row["seed"], row["start"], row["shared"]) for row in rows}
    for seed in SEEDS:
        for shared, start in itertools.product((True, False), STARTS):
            if (seed, start, shared) in known:
                continue
            rows.append(
                {"seed": seed, "start": start, "shared": shared,
                 "test_accuracy": _accuracy(records, directory / f"seed-{seed}", values, seed, start, shared)}
            )  # fmt: skip
            with file.open("a") as lines:
                lines.write(f"{json.dumps(rows[-1])}\n")
    return rows


def _accuracy(records: Path, trained: Path, values: Parameters, seed: int, start: int, shared: bool) -> float:
    """Test accuracy of the fine-tuning of a seed from a start; transfer learning is done when it is not there."""
    import keras

    from bench.better.trainings import transfer
    from components.evaluate.step import EvaluateConfig, evaluate
    from components.evaluate.step import Outputs as Evaluated
    from components.finetune.step import FinetuneConfig, Outputs, finetune

    keras.utils.clear_session()
    trained.mkdir(exist_ok=True)
    with redirect_stdout(io.StringIO()):
        if not (trained / "checkpoints" / "checkpoints.json").exists():
            transfer(records, trained, trained / "alone.keras", {**values, "seed": seed})
        # A seed of the start's own: no other start's, of any seed, is this one.
        drawn = seed if shared else 1000 * seed + start
        outputs = Outputs(trained / "model.keras", trained / "history.json", trained / "logs")
        config = parameters.config(FinetuneConfig, "finetune", parameters.candidate({**values, "seed": drawn}, start))
        finetune(records, trained / "checkpoints", outputs, config)
        tried = parameters.config(EvaluateConfig, "evaluate", parameters.candidate({**values, "seed": seed}, start))
        result = evaluate(records, outputs.model, Evaluated(trained / "evaluation.json"), tried)
    return result["top_1"]


def table(rows: Sequence[Row]) -> str:
    """As Markdown: the spread of each pair's difference, and the ratio of all, with an interval over seeds."""
    seeds = sorted({row["seed"] for row in rows})
    found = {(row["seed"], row["start"], row["shared"]): 100 * row["test_accuracy"] for row in rows}
    pairs = list(itertools.combinations(sorted({row["start"] for row in rows}), 2))
    apart = {
        shared: np.array(
            [[found[seed, late, shared] - found[seed, early, shared] for seed in seeds] for early, late in pairs]
        )
        for shared in (True, False)
    }
    lines = ["| starts | own draws: ± points | shared draws: ± points |", "|---|--:|--:|"]
    lines += [
        f"| {early}, {late} | {apart[False][number].std(ddof=1):.2f} | {apart[True][number].std(ddof=1):.2f} |"
        for number, (early, late) in enumerate(pairs)
    ]
    drawn = np.random.default_rng(0).integers(0, len(seeds), (10_000, len(seeds)))
    drawn = drawn[np.ptp(drawn, axis=1) > 0]  # of one seed alone there is no spread
    ratios = [_spread(apart[True][:, each]) / _spread(apart[False][:, each]) for each in drawn]
    low, high = np.quantile(ratios, (0.025, 0.975))
    ratio = _spread(apart[True]) / _spread(apart[False])
    lines.append(f"\nRatio of the spreads, over all pairs and {len(seeds)} seeds: {ratio:.2f} [{low:.2f}, {high:.2f}].")
    return "\n".join(lines)


def _spread(differences: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> float:
    """Root of the pairs' mean variance over seeds."""
    return float(np.sqrt(differences.var(axis=1, ddof=1).mean()))
