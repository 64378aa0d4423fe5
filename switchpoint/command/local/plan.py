"""What a run would do, without doing it."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from kfp import dsl

from switchpoint.command.local.interfaces import Outputs, Task
from switchpoint.command.local.orchestrator import orchestrate
from switchpoint.command.local.why import explain
from switchpoint.command.runs import store
from switchpoint.command.runs.estimate import expect
from switchpoint.command.runs.steps import order

if TYPE_CHECKING:
    from switchpoint.command.documents import Run, Step
    from switchpoint.documents.lineage import Parameters


def plan(parameters: Parameters, runs_directory: Path, runner: str = "subprocess", verify: bool = False) -> list[Step]:
    """What a run with these parameters would do: for each step `cached` or `will run`, why, and how long.

    Nothing is run and nothing is written.

    Args:
        parameters: All of the pipeline's parameters, checked.
        runs_directory: Where runs and the cache live.
        runner: `subprocess` or `docker`.
        verify: Read all that is cached: see `switchpoint.command.runs.outputs`.
    """
    planner = _Planner(store.every(runs_directory))
    with tempfile.TemporaryDirectory() as empty:
        cache_directory = runs_directory / store.CACHE
        # LocalCache would make the directory, and a plan leaves nothing behind.
        usable = cache_directory if cache_directory.exists() else Path(empty)
        orchestrate(parameters, runs_directory, usable, runner, planner, writes=False, verify=verify)
    expect(planner.steps, parameters, planner.earlier)
    return sorted(planner.steps, key=order)


class _Planner:
    """Gives outputs at a new address for what is not cached, so that what takes them is not cached either."""

    def __init__(self, earlier: list[Run]) -> None:
        self.steps: list[Step] = []
        self.earlier = earlier

    def execute(self, task: Task) -> Outputs:
        task.step["why"] = task.broken or explain(task.step, self.earlier)
        return {name: dsl.Artifact(name=name, uri=f"planned://{uuid.uuid4()}") for name in task.outputs}

    def took(self, step: Step) -> None:
        """Nothing is written down."""

    def ended(self, step: Step) -> None:
        step["state"] = "cached" if step["state"] == "cached" else "will run"
        step["seconds"] = None
