"""Small trainings for several files of tests: a few small photos, a small network and real `fit`."""

import json
from pathlib import Path

from components.finetune.step import FinetuneConfig, finetune
from components.transfer.step import TransferConfig, transfer
from switchpoint.training.resume import Resume

EPOCHS = 3
TRANSFER = TransferConfig(
    backbone="efficientnet_lite0",
    weights="imagenet",
    epochs=EPOCHS,
    image_size=32,
    batch_size=8,
    learning_rate=0.003,
    first_decay_steps=0,
    t_mul=2.0,
    m_mul=0.75,
    rotation=0.04,
    dropout=0.2,
    label_smoothing=0.0,
    mixed_precision="auto",
    feature_views=0,
    seed=3,
)
FINETUNE = FinetuneConfig(
    switch_epoch=2,
    epochs=2,
    blocks=0,
    batch_size=8,
    learning_rate=1e-4,
    schedule="cosine",
    warmup=0.0,
    rotation=0.04,
    dropout=0.2,
    label_smoothing=0.0,
    mixed_precision="auto",
    seed=3,
)


def train(
    records: Path, place: Path, config: TransferConfig = TRANSFER, resume: Resume | None = None
) -> dict[str, str]:
    return transfer(
        records,
        place / "checkpoints",
        place / "model" / "model.keras",
        place / "history",
        place / "logs",
        place / "pretrained",
        config,
        resume,
    )


def tune(
    records: Path, transferred: Path, place: Path, config: FinetuneConfig = FINETUNE, resume: Resume | None = None
) -> dict[str, str]:
    return finetune(
        records,
        transferred / "checkpoints",
        place / "model" / "model.keras",
        place / "history",
        place / "logs",
        config,
        resume,
    )


def history(place: Path) -> dict[str, object]:
    return json.loads((place / "history").read_text())
