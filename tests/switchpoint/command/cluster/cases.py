"""What the tests of Kubeflow Pipelines' client submit, and how it ends."""

from collections.abc import Callable

from click.testing import CliRunner, Result

from switchpoint.command.cli.main import main
from tests.kfp_workflows import tasks

EPOCHS = [1, 2, 4]


DEMO = ("--recipe", "demo")  # drawn dishes, switch epochs 1, 2, 4


STEPS = {
    "prepare": "SUCCEEDED", "transfer": "SUCCEEDED", "evaluate": "SUCCEEDED",
    **{f"{name}_{epoch}": "SUCCEEDED" for epoch in EPOCHS for name in ("finetune", "evaluate")},
    "report": "SUCCEEDED",
}  # fmt: skip


ENDED = [("SUCCEEDED", tasks(EPOCHS, **STEPS))]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


Submit = Callable[..., Result]
