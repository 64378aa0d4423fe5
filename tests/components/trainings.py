"""Small trainings for several files of tests: a few small photos, a small network and real `fit`."""

import json
from pathlib import Path

from components.evaluate.step import EvaluateConfig, evaluate
from components.evaluate.step import Outputs as EvaluateOutputs
from components.finetune.step import FinetuneConfig, finetune
from components.finetune.step import Outputs as FinetuneOutputs
from components.prepare.step import Outputs as PrepareOutputs
from components.prepare.step import PrepareConfig, prepare
from components.transfer.step import Outputs as TransferOutputs
from components.transfer.step import TransferConfig, transfer
from switchpoint.command.parameters import candidate, config, resolve
from switchpoint.documents.evaluation import Evaluation
from switchpoint.documents.records import Manifest
from switchpoint.documents.training import History
from switchpoint.training.resume import Resume

EPOCHS = 3
VALUES = resolve(
    "demo",
    {
        "transfer_epochs": EPOCHS,
        "finetune_epochs": 2,
        "switch_epochs": [2],
        "image_size": 32,
        "batch_size": 8,
        "finetune_learning_rate": [1e-4],
        "finetune_warmup": 0.0,
        "feature_views": 0,
        "weights": "none",
        "seed": 3,
    },
)
TRANSFER = config(TransferConfig, "transfer", VALUES)
FINETUNE = config(FinetuneConfig, "finetune", candidate(VALUES, 2))


def prepared(place: Path, dataset: Path | str, workers: int | None = None, **changes: object) -> Manifest:
    """Records of a folder, and what else prepare writes, in `place`."""
    values = VALUES | {"dataset": str(dataset), "seed": 1, "validation_fraction": 0.2} | changes
    outputs = PrepareOutputs(place / "records", place / "source", place / "look")
    return prepare(outputs, config(PrepareConfig, "prepare", values), workers)


def train(
    records: Path, place: Path, config: TransferConfig = TRANSFER, resume: Resume | None = None
) -> dict[str, str]:
    outputs = TransferOutputs(
        place / "checkpoints",
        place / "model" / "model.keras",
        place / "history",
        place / "logs",
        place / "pretrained",
        place / "reference",
    )
    return transfer(records, outputs, config, resume)


def tune(
    records: Path, transferred: Path, place: Path, config: FinetuneConfig = FINETUNE, resume: Resume | None = None
) -> dict[str, str]:
    outputs = FinetuneOutputs(place / "model" / "model.keras", place / "history", place / "logs")
    return finetune(records, transferred / "checkpoints", outputs, config, resume)


def evaluated(
    records: Path, model: Path, place: Path, switch_epoch: int, digest: str | None = None, robustness: str = "off"
) -> Evaluation:
    outputs = EvaluateOutputs(place / "evaluation")
    return evaluate(
        records,
        model / "model" / "model.keras",
        outputs,
        EvaluateConfig(switch_epoch, 1e-4 if switch_epoch else 0.0, 1, 8, robustness),
        digest,
    )


def history(place: Path) -> History:
    return json.loads((place / "history").read_text())
