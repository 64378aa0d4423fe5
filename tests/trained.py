"""A real training on a few small photos, through the functions that KFP calls."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kfp import dsl

from components.finetune.component import finetune
from components.finetune.step import FinetuneConfig
from components.prepare.component import prepare
from components.prepare.step import PrepareConfig
from components.transfer.component import transfer
from components.transfer.step import TransferConfig
from switchpoint.command.parameters import candidate, config, resolve

Handed = Callable[[dict[str, Any]], dict[str, Any]]


def photos(place: Path) -> Path:
    """Three classes of drawn dishes, twelve each."""
    from switchpoint.data.sources import dishes as sample

    for dish in list(sample.DISHES)[:3]:
        (place / dish).mkdir(parents=True)
        for number in range(12):
            (place / dish / f"{number}.jpg").write_bytes(sample.photograph(f"{dish}/train-{number:03d}.jpg"))
    return place


def from_a_cluster(values: dict[str, Any]) -> dict[str, Any]:
    """Parameters as KFP's driver hands them over: JSON's numbers in Go's spelling, so that 0.0 comes as 0."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in values.items()
    }


def train(place: Path, dataset: str, weights: str = "imagenet", handed: Handed = dict) -> None:
    """Prepare, transfer and finetune from epoch 1; outputs where KFP's launcher puts them: TASK/random/OUTPUT.

    Args:
        place: Where the outputs go.
        dataset: Its address.
        weights: Theirs.
        handed: Gives a step's parameters as it gets them.
    """

    def outputs(step: str, **kinds: Any) -> dict[str, Any]:
        (place / step / "0b5e1f9c").mkdir(parents=True)
        return {name: kind(name=name, uri=str(place / step / "0b5e1f9c" / name)) for name, kind in kinds.items()}

    values = resolve(
        "demo",
        {
            "dataset": dataset,
            "weights": weights,
            "image_size": 32,
            "batch_size": 8,
            "transfer_epochs": 1,
            "switch_epochs": [1],
            "finetune_epochs": 1,
            "finetune_learning_rate": [0.0001],
            "mixed_precision": "off",
            "max_left_out": 0.0,
            "feature_views": 1,
        },
    )
    prepared = outputs("prepare", records=dsl.Dataset, source=dsl.Artifact, look=dsl.HTML)
    prepare.python_func(**handed(asdict(config(PrepareConfig, "prepare", values))), **prepared)
    records = {"records": prepared["records"]}
    artifacts = ("checkpoints", "history", "logs", "pretrained", "reference")
    transferred = outputs("transfer", model=dsl.Model, **dict.fromkeys(artifacts, dsl.Artifact))
    transfer.python_func(**handed(asdict(config(TransferConfig, "transfer", values))), **records, **transferred)
    finetune.python_func(
        **handed(asdict(config(FinetuneConfig, "finetune", candidate(values, 1)))),
        checkpoints=transferred["checkpoints"],
        **records,
        **outputs("finetune", model=dsl.Model, history=dsl.Artifact, logs=dsl.Artifact),
    )
    # The report keeps the best model; which one that is does not matter here.
    shutil.copytree(place / "finetune" / "0b5e1f9c" / "model", place / "report" / "0b5e1f9c" / "model")
    (place / "report" / "0b5e1f9c" / "results").write_text('{"results": [], "best": null, "conclusion": ""}')


if __name__ == "__main__":
    train(Path(sys.argv[1]), *sys.argv[2:], handed=from_a_cluster)
