"""What a run would do, without doing it."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp import dsl

from switchpoint.command.local.interfaces import Outputs, Task
from switchpoint.command.local.orchestrator import orchestrate
from switchpoint.command.local.why import explain
from switchpoint.command.runs import store
from switchpoint.command.runs.estimate import expect
from switchpoint.command.runs.steps import order, place
from switchpoint.training.rungs import left

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from switchpoint.command.documents import Run, Step
    from switchpoint.documents.lineage import Parameters

    WentOn = Mapping[int, Sequence[tuple[int, float]]]  # by rung: switch epochs and learning rates


def plan(
    parameters: Parameters,
    runs_directory: Path,
    runner: str = "subprocess",
    verify: bool = False,
    went_on: WentOn | None = None,
) -> list[Step]:
    """What a run with these parameters would do: for each step `cached` or `will run`, why, and how long.

    Nothing is run and nothing is written.

    Args:
        parameters: All of the pipeline's parameters, checked.
        runs_directory: Where runs and the cache live.
        runner: `subprocess` or `docker`.
        verify: Read all that is cached: see `switchpoint.command.runs.outputs`.
        went_on: Of a search's rungs that are known not to end otherwise, who goes on.
    """
    planner = _Planner(store.every(runs_directory), went_on or {})
    with tempfile.TemporaryDirectory() as empty:
        cache_directory = runs_directory / store.CACHE
        # LocalCache would make the directory, and a plan leaves nothing behind.
        usable = cache_directory if cache_directory.exists() else Path(empty)
        orchestrate(parameters, runs_directory, usable, runner, planner, writes=False, verify=verify)
    steps = _alike(planner.steps)
    expect(steps, parameters, planner.earlier)
    return sorted(steps, key=order)


def _alike(steps: list[Step]) -> list[Step]:
    """Steps of candidates that are not known yet as one, which says how many there are at most."""
    known = [step for step in steps if (step["switch_epoch"] or 0) >= 0]
    unknown: dict[Any, Step] = {}
    for step in steps:
        if step not in known:
            alike: Step = {**step, "switch_epoch": None, "learning_rate": None}
            first = unknown.setdefault(place(alike), {**alike, "at_most": 0})
            first["at_most"] += 1
    return known + list(unknown.values())


class _Planner:
    """Gives outputs at a new address for what is not cached, so that what takes them is not cached either."""

    def __init__(self, earlier: list[Run], went_on: WentOn) -> None:
        self.steps: list[Step] = []
        self.earlier, self.went_on = earlier, went_on

    def execute(self, task: Task) -> Outputs:
        task.step["why"] = task.broken or explain(task.step, self.earlier)
        made: Outputs = {name: dsl.Artifact(name=name, uri=f"planned://{uuid.uuid4()}") for name in task.outputs}
        if task.step["name"] == "halve":
            # Who goes on is known when they were trained: until then negative numbers stand for them.
            count = left(len(task.step["inputs"]["histories"]))
            unknown = [(-number, 0.0) for number in range(count, 0, -1)]
            found = self.went_on.get(task.step["rung"] or 0, unknown)
            made["survivors"] = [{"switch_epoch": epoch, "learning_rate": rate} for epoch, rate in found]
        return made

    def took(self, step: Step) -> None:
        """Nothing is written down."""

    def ended(self, step: Step) -> None:
        step["state"] = "cached" if step["state"] == "cached" else "will run"
        step["seconds"] = None
