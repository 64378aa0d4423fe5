"""A real training on a few small photos, through the functions that KFP calls."""

import shutil
import sys
from pathlib import Path
from typing import Any

from kfp import dsl

from components.finetune.component import finetune
from components.prepare.component import prepare
from components.transfer.component import transfer


def photos(place: Path) -> Path:
    """Three classes of drawn dishes, twelve each."""
    from switchpoint.data.sources import dishes as sample

    for dish in list(sample.DISHES)[:3]:
        (place / dish).mkdir(parents=True)
        for number in range(12):
            (place / dish / f"{number}.jpg").write_bytes(sample.photograph(f"{dish}/train-{number:03d}.jpg"))
    return place


def train(place: Path, dataset: str, weights: str = "imagenet") -> None:
    """Prepare, transfer and finetune from epoch 1; outputs where KFP's launcher puts them: TASK/random/OUTPUT."""

    def outputs(step: str, **kinds: Any) -> dict[str, Any]:
        (place / step / "0b5e1f9c").mkdir(parents=True)
        return {name: kind(name=name, uri=str(place / step / "0b5e1f9c" / name)) for name, kind in kinds.items()}

    training = {
        "batch_size": 8,
        "rotation": 0.04,
        "dropout": 0.2,
        "label_smoothing": 0.0,
        "mixed_precision": "off",
        "seed": 1,
    }
    prepared = outputs("prepare", records=dsl.Dataset, source=dsl.Artifact, look=dsl.HTML)
    prepare.python_func(
        dataset=dataset, dataset_digest="", image_size=32, validation_fraction=0.2, max_left_out=0.0, seed=1, **prepared
    )
    records = {"records": prepared["records"]}
    artifacts = ("checkpoints", "history", "logs", "pretrained")
    transferred = outputs("transfer", model=dsl.Model, **dict.fromkeys(artifacts, dsl.Artifact))
    transfer.python_func(
        backbone="efficientnet_lite0", weights=weights, weights_digest="", epochs=1, image_size=32, learning_rate=0.003,
        first_decay_steps=0, t_mul=2.0, m_mul=0.75, feature_views=1, **training, **records, **transferred,
    )  # fmt: skip
    finetune.python_func(
        checkpoints=transferred["checkpoints"], switch_epoch=1, epochs=1, blocks=0, learning_rate=0.0001,
        schedule="cosine", warmup=0.2, **training, **records,
        **outputs("finetune", model=dsl.Model, history=dsl.Artifact, logs=dsl.Artifact),
    )  # fmt: skip
    # The report keeps the best model; which one that is does not matter here.
    shutil.copytree(place / "finetune" / "0b5e1f9c" / "model", place / "report" / "0b5e1f9c" / "model")
    (place / "report" / "0b5e1f9c" / "results").write_text('{"results": [], "conclusion": ""}')


if __name__ == "__main__":
    train(Path(sys.argv[1]), *sys.argv[2:])
