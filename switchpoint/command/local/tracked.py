"""A run of this machine in MLflow: as on a cluster a run there, with a nested run for each step.

What a step tells it tells itself, where its variables say which run it is (`switchpoint.tracking`). A step that comes
from the cache tells nothing: what it came to is read from its artifacts, so that a run in MLflow is whole.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from switchpoint import tracking
from switchpoint.command import mlflow
from switchpoint.command.runs.results import chosen
from switchpoint.command.runs.steps import log_name
from switchpoint.errors import ParameterError
from switchpoint.provenance.metadata import MODEL
from switchpoint.registry import logged

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from switchpoint.command.documents import Run, Step

ENDS = {"succeeded": "FINISHED", "ran": "FINISHED", "cached": "FINISHED", "failed": "FAILED"}  # others: KILLED
LEFT_OUT = ("meanings",)  # of a step's parameters: the report's words
LONGEST = 6000  # characters of a parameter's value


class Tracked:
    """Tells MLflow of a run's steps. What MLflow does not take is said once, and the run goes on without it."""

    def __init__(self, uri: str, runs_directory: Path, runner: str, say: Callable[[str], None]) -> None:
        """Reach MLflow.

        Args:
            uri: MLflow's; empty: the file below the runs' directory.
            runs_directory: Where runs are.
            runner: `subprocess` or `docker`.
            say: Told when MLflow does not take something.

        Raises:
            ParameterError: The address is none.
            MissingPackageError: MLflow is not installed.
            TrackingError: It can't be reached.
        """
        self.uri, self._say = mlflow.address(uri, runs_directory), say
        if runner == "docker" and self.uri.startswith(tracking.SQLITE):
            raise ParameterError(
                f"A container can't write to {self.uri}: SQLite needs more of MLflow than the images have. Give the "
                "address of an MLflow server that containers reach, such as http://172.17.0.1:5000."
            )
        self._client = mlflow.client(self.uri)
        self._experiment = mlflow.experiment(self._client, self.uri)
        self._run = ""
        self._nested: dict[int, str] = {}
        self._lost = ""
        self._lock = threading.Lock()  # two rounds of a loop run at once

    def start(self, document: Run) -> None:
        """A run begins."""

        def make() -> None:
            name, tags = document.get("name") or document["id"], {tracking.OF_RUN: document["id"]}
            self._run = self._create(name, document["parameters"], tags)

        self._told(make)

    def begin(self, step: Step) -> dict[str, str]:
        """Make a step's run; gives the variables that tell the step of it."""
        run = self._told(lambda: self._nest(step))
        if run is None:
            return {}
        return {tracking.URI: self.uri, "MLFLOW_EXPERIMENT_ID": self._experiment, tracking.RUN: run}

    def ended(self, step: Step) -> None:
        """A step has its final state."""

        def tell() -> None:
            run = self._nested.get(id(step))
            if step["state"] == "cached":
                run = self._nest(step)
                tell_cached(self._client, run, step)
            if run:
                self._client.set_terminated(run, ENDS.get(step["state"], "KILLED"))

        self._told(tell)

    def close(self, document: Run) -> None:
        """The run is over."""

        def tell() -> None:
            if best := chosen(document):
                tracking.measure(self._client, self._run, {name: best[name] for name in logged.FIGURES})
                self._client.set_tag(self._run, "mlflow.note.content", document["conclusion"])
            self._client.set_terminated(self._run, ENDS.get(document["state"], "KILLED"))

        self._told(tell)

    def _nest(self, step: Step) -> str:
        cached = step["state"] == "cached"
        tags = {"mlflow.parentRunId": self._run, tracking.OF_STEP: step["name"], tracking.CACHED: str(cached).lower()}
        run = self._create(f"{log_name(step)}{', cached' * cached}", step["parameters"], tags)
        self._nested[id(step)] = run
        return run

    def _create(self, name: str, parameters: Mapping[str, Any], tags: dict[str, str]) -> str:
        from mlflow.entities import Param

        run: str = self._client.create_run(self._experiment, tags=tags, run_name=name).info.run_id
        kept = {name: str(value)[:LONGEST] for name, value in parameters.items() if name not in LEFT_OUT}
        self._client.log_batch(run, params=[Param(name, value) for name, value in kept.items()])
        return run

    def _told(self, tell: Callable[[], Any]) -> Any:
        with self._lock:
            if self._lost:
                return None
            try:
                return tell()
            except Exception as error:  # whatever becomes of the tracker, the run goes on
                self._lost = tracking.told(error)
                self._say(f"MLflow at {tracking.shown(self.uri)} is told no more of this run: {self._lost}")
                return None


def tell_cached(client: MlflowClient, run: str, step: Step) -> None:
    """Tell what a step came to that was done before: as it would tell itself, at one time."""
    outputs = {name: Path(path) for name, path in step["outputs"].items()}
    if "history" in outputs:
        history = json.loads(outputs["history"].read_text(encoding="utf-8"))
        now = time.time_ns() // 1_000_000
        client.log_batch(run, metrics=tracking.epochs(history["epochs"], history["seconds"], now))
    elif "evaluation" in outputs:
        evaluation = json.loads(outputs["evaluation"].read_text(encoding="utf-8"))
        tracking.measure(client, run, tracking.figures(evaluation))
    elif "results" in outputs:
        logged.tell(client, run, outputs["results"], outputs["page"], outputs["model"] / MODEL)
