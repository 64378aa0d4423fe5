"""Runs on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from switchpoint import addresses
from switchpoint.command.compilation import environment
from switchpoint.command.errors import RunnerError, RunsDirectoryError
from switchpoint.command.local import containers
from switchpoint.command.local.interfaces import Outputs, Task
from switchpoint.command.local.orchestrator import orchestrate, started_by
from switchpoint.command.local.plan import plan
from switchpoint.command.local.processes import PRELOAD, Processes
from switchpoint.command.local.tracked import Tracked
from switchpoint.command.local.why import explain
from switchpoint.command.runs import store
from switchpoint.command.runs.failures import own_error
from switchpoint.command.runs.results import fill_in
from switchpoint.command.runs.steps import log_name, order, place
from switchpoint.errors import ParameterError
from switchpoint.training import writable
from switchpoint.training.resume import RUN, forget
from switchpoint.training.states import RESUME

if TYPE_CHECKING:
    from switchpoint.command.documents import About, Run, Step
    from switchpoint.command.runs.following import Watcher
    from switchpoint.documents.lineage import Parameters


AT_ONCE = 2  # steps, as kfp runs rounds of one loop; of a loop in a loop it would run four


def run(
    parameters: Parameters,
    runs_directory: Path,
    watcher: Watcher,
    runner: str = "subprocess",
    verify: bool = False,
    about: About | None = None,
    planned: Callable[[list[Step]], None] = lambda _: None,
    mlflow: str | None = None,
) -> Run:
    """Run the pipeline and return the run's document, whether it succeeded, failed or was interrupted.

    Args:
        parameters: All of the pipeline's parameters, checked.
        runs_directory: Where runs and the cache live.
        watcher: Told of every step and every line.
        runner: `subprocess`, or `docker` for a container a step.
        verify: Read all that is cached: see `switchpoint.command.runs.outputs`.
        about: What a person says of the run.
        planned: Told what will run, before anything does.
        mlflow: Address of the MLflow that the run is tracked in; empty: a file below `runs_directory`; None: nowhere,
            and where the run promotes, in that file.

    Raises:
        TrackingError: MLflow can't be reached.
        ParameterError: Trainings' states can't be kept where the environment says.
    """
    if states := os.environ.get(RESUME):
        if why := addresses.unsupported(states):
            raise ParameterError(f"${RESUME}: {why}")
        writable.check(states, RESUME)
    runs_directory = runs_directory.resolve()
    expected = plan(parameters, runs_directory, runner, verify)
    planned(expected)
    if parameters["promote"]:
        mlflow = mlflow or ""
    tracked = None if mlflow is None else Tracked(mlflow, runs_directory, runner, watcher.said)
    with Processes((*PRELOAD, "mlflow") if mlflow is not None else PRELOAD) as processes:
        # The report is drawn without TensorFlow: alone it has ended before the server would be warm.
        if runner == "subprocess" and any(
            step["state"] == "will run" and step["name"] not in ("collect", "report") for step in expected
        ):
            processes.warm_up()
        with contextlib.ExitStack() as living:
            with store.held(runs_directory):
                document = store.create(runs_directory, parameters, runner, about)
                living.enter_context(store.alive(runs_directory, document))
                store.write(runs_directory, document)
            _run(document, runs_directory, watcher, verify, expected, processes, tracked)
        return document


def _run(
    document: Run,
    runs_directory: Path,
    watcher: Watcher,
    verify: bool,
    expected: list[Step],
    processes: Processes,
    tracked: Tracked | None = None,
) -> None:
    """Run what `plan` expects, with the server there or warming up if one is needed."""
    parameters, runner = document["parameters"], document["runner"]
    going = _Run(document, runs_directory, watcher, processes, tracked)
    states = os.environ.get(RESUME) or str(runs_directory / store.STATES)
    try:
        if tracked:
            tracked.start(document)
        with started_by(going, runs_directory, document["id"]), environment({RESUME: states, RUN: document["id"]}):
            orchestrate(parameters, runs_directory, runs_directory / store.CACHE, runner, going, verify=verify)
        going.gather()
        document["state"] = "succeeded"
    except KeyboardInterrupt:
        going.interrupted.set()
        document["state"] = "interrupted"
    except RuntimeError as error:  # kfp's "Inner task failed: …"; the step's own error is in the step
        if going.interrupted.is_set():
            document["state"] = "interrupted"
        elif not any(step["state"] == "failed" for step in document["steps"]):
            raise RunnerError(f"Kubeflow's local runner stopped: {error}") from error
    finally:
        going.close(expected)
    if not addresses.is_remote(states):
        _forget_states(Path(states), store.every(runs_directory))


def _forget_states(states: Path, documents: list[Run]) -> None:
    """Remove the states of trainings whose outputs the cache has: their steps ended well."""
    runs = {document["id"]: document["steps"] for document in documents}

    def cached(mark: dict[str, Any]) -> bool:
        steps = [step for step in runs.get(mark["run"], []) if step["name"] == mark["step"]]
        return (
            not mark["goes_on"] and bool(steps) and all(step["state"] in ("ran", "cached", "skipped") for step in steps)
        )

    forget(states, cached)


class _Run:
    """A run as it goes: starts its steps, keeps their logs and the run's document."""

    def __init__(
        self,
        document: Run,
        runs_directory: Path,
        watcher: Watcher,
        processes: Processes,
        tracked: Tracked | None = None,
    ) -> None:
        self.document = document
        self.steps: list[Step] = document["steps"]
        self.runs_directory, self.directory = runs_directory, runs_directory / document["id"]
        self.watcher = watcher
        self.processes, self.tracked = processes, tracked
        self.interrupted = threading.Event()
        self.over = False  # a second Ctrl-C does not wait for kfp's threads
        self._lock = threading.Lock()  # kfp runs two rounds of a loop at once
        self._room = threading.BoundedSemaphore(AT_ONCE)

    def execute(self, task: Task) -> Outputs | None:
        with self._room:
            return self._execute(task)

    def _execute(self, task: Task) -> Outputs | None:
        step = task.step
        step["why"] = task.broken or explain(step, self._others())
        if self.interrupted.is_set():  # kfp would go on with the next switch epoch
            step["state"] = "skipped"
            raise KeyboardInterrupt
        task.begin()
        step["log"] = f"logs/{log_name(step)}.log"
        self._log(step).touch()
        self.save()
        self.watcher.started(step)
        outputs = task.run()
        if outputs is None and step["state"] != "interrupted":
            step["error"] = own_error(self._log(step).read_text(encoding="utf-8"))
        return outputs

    def process(self, step: Step, command: list[str], variables: dict[str, str]) -> int:
        with _Log(self._log(step), step, self) as log:
            variables = variables | self._tracked_by(step)
            return self._ended(step, self.processes.run(command, variables, log.add))

    def container(self, step: Step, *arguments: Any, **keywords: Any) -> int:
        with _Log(self._log(step), step, self) as log:
            keywords["environment"] = keywords["environment"] | self._tracked_by(step)
            return self._ended(step, containers.run(log.add, *arguments, **keywords))

    def _tracked_by(self, step: Step) -> dict[str, str]:
        """The variables that tell a step which run of MLflow's it is."""
        return self.tracked.begin(step) if self.tracked else {}

    def _ended(self, step: Step, code: int) -> int:
        """Note whether a step was told to end; gives its exit code."""
        if {-code, code - 128} & {signal.SIGINT, signal.SIGTERM}:
            self.interrupted.set()
            step["state"] = "interrupted"
        return code

    def _others(self) -> list[Run]:
        """The other runs, newest first, as they are now: one may be at work."""
        return [each for each in store.every(self.runs_directory) if each["id"] != self.document["id"]]

    def took(self, step: Step) -> None:
        self.save()

    def ended(self, step: Step) -> None:
        if step["state"] == "ran" and step["error"]:
            step["state"] = "failed"
        self.save()
        if self.tracked:
            self.tracked.ended(step)
        if not self.over:
            self.watcher.ended(step)

    def gather(self) -> None:
        """All steps ended well: put what they came to into the document, and the pages beside it."""
        try:
            fill_in(self.document, self.directory / "report.html")
        except OSError as error:
            raise RunsDirectoryError(
                f"Every step ended well, but what the run came to can't be put into {self.directory}: {error}. Repair "
                "that and run the same command again: what has finished comes from the cache."
            ) from error

    def close(self, expected: list[Step]) -> None:
        """The run is over: what was expected and never came is skipped, and nothing more is told."""
        self.over = True
        if self.document["state"] == "running":
            self.document["state"] = "failed"
        for step in self.steps:
            # A second Ctrl-C does not wait for them.
            step["state"] = {"running": "interrupted", "pending": "skipped"}.get(step["state"], step["state"])
        seen = set(map(place, self.steps))
        self.steps += [
            {**step, "state": "skipped", "seconds": None, "inputs": {}, "outputs": {}}  # they were planned, not made
            for step in expected
            if place(step) not in seen and "at_most" not in step
        ]
        self.steps = self.document["steps"] = sorted(self.steps, key=order)
        self.document["ended"] = store.now()
        self.save()
        if self.tracked:
            self.tracked.close(self.document)

    def save(self) -> None:
        with self._lock:
            # A copy: what another thread adds to a list that is being sorted is lost.
            store.write(self.runs_directory, {**self.document, "steps": sorted(self.steps, key=order)})

    def _log(self, step: Step) -> Path:
        return Path(self.directory, step["log"] or "")


class _Log:
    """A step's log: each line is written, and told, when it comes."""

    def __init__(self, path: Path, step: Step, going: _Run) -> None:
        self._step, self._going = step, going
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, line: str) -> None:
        self._file.write(line)
        self._file.flush()
        if not self._going.over:
            self._going.watcher.line(self._step, line.rstrip())
