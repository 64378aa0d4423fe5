"""What the tests of Kubeflow Pipelines' client submit, and how it ends."""

import json
from collections.abc import Callable
from typing import Any

from click.testing import CliRunner, Result

from switchpoint.command.cli.main import main
from tests.kfp_workflows import tasks

EPOCHS = [1, 2, 4]


DEMO = ("--recipe", "demo")  # drawn dishes, switch epochs 1, 2, 4


SEEDED = (
    "transfer", "evaluate", *(f"{name}_{epoch}" for epoch in EPOCHS for name in ("finetune", "evaluate")), "collect",
)  # fmt: skip


def ended(*seeds: int) -> dict[str, str]:
    """The state of every step, of a run with these seeds, as `tasks` takes it."""
    ends = ["", *(f"_seed_{seed}" for seed in seeds[1:])]
    return dict.fromkeys(
        ["digest", "prepare", *(f"{step}{end}" for end in ends for step in SEEDED), "report"], "SUCCEEDED"
    )


STEPS = ended(1)


ENDED = [("SUCCEEDED", tasks(EPOCHS, **STEPS))]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


Submit = Callable[..., Result]


def row(switch_epoch: int | None, seed: int, test_accuracy: float, digest: str) -> dict[str, Any]:
    return {
        "switch_epoch": switch_epoch, "learning_rate": switch_epoch and 0.0003, "seed": seed,
        "best_epoch": 3, "validation_accuracy": 0.8,
        "test_accuracy": test_accuracy, "test_loss": 0.7, "diverged": False, "seconds": 90.0, "model_digest": digest,
    }  # fmt: skip


def summary(switch_epoch: int | None, test_accuracy: float, gain: dict[str, float] | None) -> dict[str, Any]:
    return {
        "switch_epoch": switch_epoch, "learning_rate": switch_epoch and 0.0003, "seeds": [1],
        "validation_accuracy": 0.8, "test_accuracy": test_accuracy,
        "test_loss": 0.7, "gain": gain, "diverged": 0, "seconds": 90.0,
    }  # fmt: skip


REPORT = {
    "results": [row(None, 1, 0.69, "a"), row(2, 1, 0.79, "b")],
    "starts": [summary(None, 0.69, None), summary(2, 0.79, {"points": 10.0, "low": 4.0, "high": 16.0})],
    "best": {"switch_epoch": 2, "seed": 1, "model_digest": "b"},
    "conclusion": "Switch after epoch 2.",
}


def begin(bucket: Any, run: Any, photos: str = "first") -> None:
    """What the run's first step found."""
    digests = {"dataset_digest": photos, "weights_digest": "weights"}
    bucket.put(f"root/switchpoint/{run.run_id}/digest/0b5e1f9c/digests", json.dumps(digests).encode())


def publish(bucket: Any, run: Any, said: dict[str, Any] = REPORT) -> str:
    base = f"root/switchpoint/{run.run_id}/report/0b5e1f9c"
    bucket.put(f"{base}/results", json.dumps(said).encode())
    bucket.put(f"{base}/page", b"<html></html>")
    return str(bucket.uri(base))
