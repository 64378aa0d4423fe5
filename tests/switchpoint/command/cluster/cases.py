"""What the tests of Kubeflow Pipelines' client submit, and how it ends."""

import json
from collections.abc import Callable
from typing import Any

from click.testing import CliRunner, Result

from switchpoint.command.cli.main import main
from tests.kfp_workflows import tasks

EPOCHS = [1, 2, 4]


DEMO = ("--recipe", "demo")  # drawn dishes, switch epochs 1, 2, 4


STEPS = {
    "digest": "SUCCEEDED", "prepare": "SUCCEEDED", "transfer": "SUCCEEDED", "evaluate": "SUCCEEDED",
    **{f"{name}_{epoch}": "SUCCEEDED" for epoch in EPOCHS for name in ("finetune", "evaluate")},
    "report": "SUCCEEDED",
}  # fmt: skip


ENDED = [("SUCCEEDED", tasks(EPOCHS, **STEPS))]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


Submit = Callable[..., Result]


REPORT = {
    "results": [
        {"switch_epoch": None, "best_epoch": 6, "validation_accuracy": 0.7, "test_accuracy": 0.69, "test_loss": 1.0,
         "diverged": False, "seconds": 60.0, "model_digest": "a"},
        {"switch_epoch": 2, "best_epoch": 3, "validation_accuracy": 0.8, "test_accuracy": 0.79, "test_loss": 0.7,
         "diverged": False, "seconds": 90.0, "model_digest": "b"},
    ],
    "best": {"switch_epoch": 2, "model_digest": "b"},
    "conclusion": "Switch after epoch 2.",
}  # fmt: skip


def begin(bucket: Any, run: Any, photos: str = "first") -> None:
    """What the run's first step found."""
    digests = {"dataset_digest": photos, "weights_digest": "weights"}
    bucket.put(f"root/switchpoint/{run.run_id}/digest/0b5e1f9c/digests", json.dumps(digests).encode())


def publish(gcs: Any, run: Any, root: str = "root") -> str:
    base = f"{root}/switchpoint/{run.run_id}/report/0b5e1f9c"
    gcs.put(f"{base}/results", json.dumps(REPORT).encode())
    gcs.put(f"{base}/page", b"<html></html>")
    return f"gs://{gcs.bucket}/{base}"
