"""Runs on Kubeflow Pipelines: list, look at, follow."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from switchpoint.command import parameters as pipeline_parameters
from switchpoint.command.cluster.connection import Connection
from switchpoint.command.cluster.errors import PassingError
from switchpoint.command.cluster.steps import of_tasks, of_workflow, steps, waiting
from switchpoint.command.errors import ClusterError
from switchpoint.command.runs.steps import rounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from switchpoint.command import documents
    from switchpoint.command.documents import Step
    from switchpoint.documents.lineage import Parameters

Run = Any  # kfp_server_api.V2beta1Run

PATIENCE = 300.0  # seconds without an answer before following a run gives up
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 20.0  # seconds between two looks at a run
WHOLE_ID = 36  # characters of a UUID
SEARCHED = 1000  # runs among which the start of an id is looked for
FINISHED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")


class Cluster(Connection):
    """One Kubeflow Pipelines, and what it knows of runs."""

    def __init__(self, **connection: Any) -> None:
        """Connect: see `Connection`."""
        super().__init__(**connection)
        self._versions: dict[str, Any] = {}  # by id; a version never changes

    def run(self, run_id: str) -> Run:
        """A run and what is known of its tasks.

        Raises:
            ClusterError: There is none, or it can't be had.
        """
        with self.plainly(
            f"read run {run_id}", missing=f"There is no run {run_id}. List them: switchpoint runs --host …"
        ):
            return self.client.get_run(run_id)

    def find(self, run_id: str) -> Run:
        """A run by its id or the start of it.

        Raises:
            ClusterError: There is none among the newest, or more than one.
        """
        if len(run_id) >= WHOLE_ID:
            return self.run(run_id)
        listed = [run.run_id for run in self.runs(SEARCHED)]
        match [each for each in listed if each.startswith(run_id)]:
            case [found]:
                return self.run(found)
            case []:
                newest = f"The newest: {', '.join(listed[:5])}." if listed else "There is no run of Switchpoint's yet."
                raise ClusterError(f"There is no run {run_id} at {self.host}. {newest}")
            case several:
                raise ClusterError(f"{len(several)} runs begin with {run_id}. Give one of: {', '.join(several[:5])}.")

    def runs(self, limit: int = 100) -> list[Run]:
        """Runs of this pipeline, newest first."""
        found: list[Run] = []
        token = ""
        while len(found) < limit:
            with self.plainly("list runs"):
                page = self.client.list_runs(
                    page_token=token, page_size=100, sort_by="created_at desc", namespace=self.own_namespace()
                )
            found += [run for run in page.runs or [] if "switch_epochs" in parameters_of(run)]
            token = page.next_page_token or ""
            if not token:
                break
        return found[:limit]

    def document(self, run: Run, with_steps: bool = True) -> documents.Run:
        """A run as `switchpoint runs` shows it; its steps are another request."""
        values = parameters_of(run)
        return {
            "id": run.run_id,
            "name": run.display_name,
            "state": state(run),
            "parameters": values,
            "steps": self.steps(run) if with_steps else [],
            "results": [],
            "started": run.created_at.isoformat() if run.created_at else None,
            "ended": run.finished_at.isoformat() if run.state in FINISHED and run.finished_at else None,
            "url": self.url(run.run_id),
        }

    def steps(self, run: Run) -> list[Step]:
        """The steps that have begun."""
        return self._look(run)[0]

    def _look(self, run: Run) -> tuple[list[Step], str]:
        """The steps that have begun, and why the run itself waits, if it does."""
        tasks = (run.run_details.task_details if run.run_details else None) or []
        nodes = of_workflow(self.workflow(run.run_id)) if tasks else []
        given = parameters_of(run)
        search = str(given.get("search", "sweep"))
        found = steps(nodes or of_tasks(tasks), rounds(given), numbers(run, "seeds"), search)
        if state(run) == "canceled":  # Argo has a step that was ended as one that failed
            for step in found:
                step["state"] = "canceled" if step["state"] == "failed" else step["state"]
        return found, waiting(nodes)

    def workflow(self, run_id: str) -> str:
        """The run's Argo workflow as JSON. Only the API's first version gives it; where that is gone, an empty one."""
        try:
            with self.plainly(f"read the workflow of run {run_id}"):
                run = self.client._run_api.api_client.call_api(
                    "/apis/v1beta1/runs/{run_id}",
                    "GET",
                    path_params={"run_id": run_id},
                    header_params={"Accept": "application/json"},
                    response_type="object",
                    auth_settings=["Bearer"],
                    _return_http_data_only=True,
                )
        except ClusterError as error:
            if getattr(error.__cause__, "status", None) in (404, 501):
                return "{}"
            raise
        return (run.get("pipeline_runtime") or {}).get("workflow_manifest") or "{}"

    def follow(self, run_id: str, changed: Callable[[Step], None], timeout: float | None = None) -> Run:
        """Look at a run until it ends, whichever way.

        Args:
            run_id: Which.
            changed: Told of every step that has another state than before.
            timeout: Seconds after which to give up; the run goes on.

        Raises:
            ClusterError: It did not end in time, or the cluster did not answer for `PATIENCE` seconds.
        """
        begun = heard = time.monotonic()
        pause = FIRST_PAUSE
        seen: dict[Any, tuple[str, str | None]] = {}
        while True:
            try:
                run = self.run(run_id)
                now, held = self._look(run)
                heard = time.monotonic()
            except PassingError as error:
                if time.monotonic() - heard > PATIENCE:
                    raise ClusterError(f"{error}\nThe run itself goes on: {self.url(run_id)}") from error
            else:
                whole: Step = {
                    "name": "run",
                    "seed": None,
                    "switch_epoch": None,
                    "learning_rate": None,
                    "state": "waiting",
                    "seconds": None,
                    "why": held,
                }
                for step in [*now, *([whole] if held else [])]:
                    told = step["state"], step.get("why")
                    if seen.get(step.get("node")) != told:
                        seen[step.get("node")] = told
                        changed(step)
                if run.state in FINISHED:
                    return run
            if timeout is not None and time.monotonic() - begun > timeout:
                raise ClusterError(f"The run has not ended after {timeout:g} s and goes on: {self.url(run_id)}")
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def spec(self, run: Run) -> dict[str, Any]:
        """The pipeline that the run was started from."""
        spec = run.pipeline_spec or self.version_of(run).pipeline_spec
        # With Kubernetes settings it comes as two documents.
        return dict(spec.get("pipeline_spec", spec))

    def version_of(self, run: Run) -> Any:
        """The version that the run was started from."""
        reference = run.pipeline_version_reference
        if reference.pipeline_version_id in self._versions:
            return self._versions[reference.pipeline_version_id]
        with self.plainly(f"read the pipeline of run {run.run_id}", missing="Its version was deleted"):
            found = self.client.get_pipeline_version(reference.pipeline_id, reference.pipeline_version_id)
        self._versions[reference.pipeline_version_id] = found
        return found


def state(run: Run) -> str:
    """A run's state in lower case; a run that was canceled ends as FAILED, and only its history says why."""
    history = [str(each.state) for each in run.state_history or ()]
    while history and history[-1] == str(run.state):
        history.pop()
    if run.state == "FAILED" and history[-1:] == ["CANCELING"]:
        return "canceled"
    return str(run.state).lower()


def parameters_of(run: Run) -> Parameters:
    """A run's parameters as numbers and lists: the API gives numbers as floats, and a cloned run lists as JSON."""
    values = dict((run.runtime_config and run.runtime_config.parameters) or {})
    for name, parameter in pipeline_parameters.parameters().items():
        given = values.get(name)
        if parameter.kind is list and isinstance(given, list | str):  # an earlier version had one learning rate
            values[name] = [parameter.item(each) for each in (json.loads(given) if isinstance(given, str) else given)]
        if parameter.kind is int and isinstance(values.get(name), float) and values[name].is_integer():
            values[name] = int(values[name])
    return values


def numbers(run: Run, parameter: str) -> list[int]:
    """A run's list, in the run's own order; empty where its pipeline has no such parameter."""
    return list(parameters_of(run).get(parameter, []))
