"""A Kubeflow Pipelines API server on the loopback, for kfp's real client to talk to.

It keeps what it is sent, parses every package into kfp's own messages, as the real one does, and answers with the
models of kfp_server_api, serialised: no shape here is invented. What it does not do is run anything: `plays` says what
a run looks like each time the client looks.
"""

import contextlib
import copy
import datetime
import email
import email.policy
import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

import kfp_server_api as api

from tests import kfp_limits
from tests.kfp_limits import Refusal
from tests.kfp_packages import check_parameters, parsed
from tests.kfp_workflows import NOON, manifest

Snapshot = tuple[str, list[api.V2beta1PipelineTaskDetail]]  # the run's state, its tasks


class Text(str):
    """An answer that is no JSON."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pipelines: list[Any] = []
        self.versions: list[Any] = []
        self.experiments: list[Any] = []
        self.runs: list[Any] = []
        self.schedules: list[Any] = []
        self.workflows: list[str] = []  # ids of the runs whose workflow was made; without a run of it one is an orphan
        self.multi_user = False
        self.outputs: dict[str, list[str]] = {}  # of a run: the addresses that its drivers gave its outputs
        self.read: Callable[[str, str], bytes | None] = lambda bucket, key: None  # what the UI has of its store
        self.is_ui = False  # the address is that of ml-pipeline-ui, not of ml-pipeline
        self.logs: dict[str, str] = {}  # by the pod's name
        self.requests: list[tuple[str, str, dict[str, str]]] = []  # method, path, headers
        self.packages: list[str] = []
        self.faults: list[list[Any]] = []
        self.plays: dict[str, list[Snapshot]] = {}
        self.nodes: dict[str, list[Any]] = {}
        self.play: Callable[[Any], list[Snapshot]] = lambda run: [("RUNNING", [])]

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, method: str, path: str, answer: int | float | str, times: int = 1) -> None:
        """Let requests fail: `answer` is a status, seconds to hang (float), or a web page (text)."""
        self.faults.append([method, path, answer, times])

    def sent(self, method: str, path: str) -> int:
        return sum(1 for one, other, _ in self.requests if one == method and re.search(path, other))

    def tick(self) -> None:
        """Start the runs of schedules for which it is time, as their controller does."""
        for one in self.schedules:
            if one.status == "ENABLED":
                again = {"experiment_id", "pipeline_version_reference", "runtime_config", "service_account"}
                run = api.V2beta1Run(**{name: copy.deepcopy(getattr(one, name)) for name in again})
                run.recurring_run_id, run.run_id, run.state = one.recurring_run_id, str(uuid.uuid4()), "SUCCEEDED"
                run.display_name = f"{one.display_name}{len(self.runs) + 1}"
                run.created_at = NOON + datetime.timedelta(weeks=len(self.runs))
                self.runs.append(run)

    def __enter__(self) -> "Server":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the client to acknowledge its headers

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        address = urlparse(self.path)
        self.query = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((method, address.path, dict(self.headers)))
        try:
            self._fault(method, address.path)
            if address.path.startswith("/artifacts/"):
                return self._artifact(address.path)
            path = address.path.removeprefix("/apis/v2beta1/")
            for (verb, pattern), act in ROUTES.items():
                if verb == method and (found := re.fullmatch(pattern, path)):
                    answer = act(self, *found.groups())
                    if isinstance(answer, Text):
                        return self._send(200, answer, "text/plain")
                    content = api.ApiClient().sanitize_for_serialization(answer)
                    return self._send(200, json.dumps(content), "application/json")
            raise Refusal(404, "Not Found")
        except Refusal as refusal:
            # The upload's errors have another shape than those of the rest.
            upload = "/upload" in address.path
            body = (
                {"error_message": str(refusal), "error_details": str(refusal)}
                if upload
                else {"error": str(refusal), "code": 2, "message": str(refusal), "details": []}
            )
            return self._send(refusal.status, json.dumps(body), "application/json")

    def _artifact(self, path: str) -> None:
        """The UI's own, outside of the API: an output as it is (frontend/server/handlers/artifacts.ts)."""
        _, _, source, bucket, key = path.split("/", 4)
        if source not in ("minio", "s3", "gcs"):
            return self._send(500, "Unknown storage source", "text/html")
        if self.server.multi_user and "namespace" not in self.query:
            return self._send(400, "Namespace parameter is required when authentication is enabled", "text/html")
        content = self.server.read(bucket, unquote(key))
        if content is None:
            return self._send(500, "Failed to get object in bucket: NoSuchKey", "text/html")
        return self._send(200, content, "application/octet-stream")

    def _fault(self, method: str, path: str) -> None:
        for fault in self.server.faults:
            if fault[0] == method and re.search(fault[1], path) and fault[3]:
                fault[3] -= 1
                if isinstance(fault[2], str):
                    self._send(200, fault[2], "text/html")
                    raise ConnectionAbortedError
                if isinstance(fault[2], float):
                    time.sleep(fault[2])
                    return
                raise Refusal(fault[2], f"the server says {fault[2]}")

    def _send(self, status: int, text: str | bytes, kind: str) -> None:
        data = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):  # the client went away
            super().handle()

    # What the API does, a method a request.

    def healthz(self) -> Any:
        return api.V2beta1GetHealthzResponse(multi_user=self.server.multi_user)

    def list_pipelines(self) -> Any:
        found = [
            one
            for one in self._named(self.server.pipelines)
            if (one.namespace or "") == self.query.get("namespace", "")
        ]
        return api.V2beta1ListPipelinesResponse(pipelines=found or None, total_size=len(found))

    def create_pipeline(self) -> Any:
        pipeline = self._model(api.V2beta1Pipeline)
        kfp_limits.pipeline(pipeline.name)
        if any((one.name, one.namespace) == (pipeline.name, pipeline.namespace) for one in self.server.pipelines):
            raise Refusal(409, f"The pipeline {pipeline.name} already exists.")
        pipeline.pipeline_id, pipeline.created_at = str(uuid.uuid4()), NOON
        self.server.pipelines.append(pipeline)
        return pipeline

    def list_versions(self, pipeline_id: str) -> Any:
        found = [one for one in self._named(self.server.versions) if one.pipeline_id == pipeline_id]
        return api.V2beta1ListPipelineVersionsResponse(pipeline_versions=found or None, total_size=len(found))

    def get_version(self, pipeline_id: str, version_id: str) -> Any:
        return self._one(self.server.versions, "pipeline_version_id", version_id)

    def upload_version(self) -> Any:
        part = next(email.message_from_bytes(
            f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode() + self.body, policy=email.policy.default
        ).iter_parts())  # type: ignore[attr-defined]  # fmt: skip
        text = part.get_payload(decode=True).decode()
        pipeline_id, name = self.query["pipelineid"], self.query["name"]
        self._one(self.server.pipelines, "pipeline_id", pipeline_id)
        kfp_limits.version(name, json.loads(self.query.get("tags", "{}")))
        if any((one.pipeline_id, one.name) == (pipeline_id, name) for one in self.server.versions):
            raise Refusal(409, "Failed to create a pipeline version")
        version = api.V2beta1PipelineVersion(
            pipeline_id=pipeline_id,
            pipeline_version_id=str(uuid.uuid4()),
            name=name,
            display_name=name,
            description=self.query.get("description"),
            created_at=NOON,
            pipeline_spec=parsed(text),
            tags=json.loads(self.query["tags"]) if "tags" in self.query else None,
        )
        self.server.packages.append(text)
        self.server.versions.append(version)
        return version

    def list_experiments(self) -> Any:
        found = self._of_namespace(self._named(self.server.experiments))
        return api.V2beta1ListExperimentsResponse(experiments=found or None, total_size=len(found))

    def create_experiment(self) -> Any:
        experiment = self._model(api.V2beta1Experiment)
        kfp_limits.experiment(experiment.display_name)
        if self.server.multi_user and not experiment.namespace:
            raise Refusal(400, "In multi-user mode, namespace must be specified.")
        experiment.experiment_id, experiment.created_at = str(uuid.uuid4()), NOON
        self.server.experiments.append(experiment)
        return experiment

    def create_run(self) -> Any:
        run = self._model(api.V2beta1Run)
        self._one(self.server.experiments, "experiment_id", run.experiment_id)
        reference = run.pipeline_version_reference
        version = self._one(self.server.versions, "pipeline_version_id", reference.pipeline_version_id)
        given = run.runtime_config.parameters
        check_parameters(version.pipeline_spec, given)
        # As a cluster gives numbers back.
        run.runtime_config.parameters = {
            name: float(value) if isinstance(value, int) and not isinstance(value, bool)
            else [float(item) for item in value] if isinstance(value, list) else value
            for name, value in given.items()
        }  # fmt: skip
        run.run_id, run.state = str(uuid.uuid4()), "PENDING"
        self.server.workflows.append(run.run_id)  # before the run is stored, which may fail
        kfp_limits.run(run)
        run.created_at = NOON + datetime.timedelta(minutes=len(self.server.runs))
        self.server.runs.append(run)
        self.server.plays[run.run_id] = list(self.server.play(run))
        return run

    def create_schedule(self) -> Any:
        """See createRecurringRun in backend/src/apiserver/server/api_converter.go for what is refused."""
        schedule = self._model(api.V2beta1RecurringRun)
        self._one(self.server.experiments, "experiment_id", schedule.experiment_id)
        reference = schedule.pipeline_version_reference
        version = self._one(self.server.versions, "pipeline_version_id", reference.pipeline_version_id)
        check_parameters(version.pipeline_spec, schedule.runtime_config.parameters)
        if not 1 <= int(schedule.max_concurrency or 0) <= 10:
            raise Refusal(400, "Max concurrency of a recurring run must be at least 1 and at most 10.")
        if len((cron := schedule.trigger.cron_schedule.cron).split()) not in (5, 6) and not cron.startswith("@"):
            raise Refusal(400, "Schedule cron is not a supported format")
        kfp_limits.run(schedule)  # its texts are in columns like those of a run's
        schedule.recurring_run_id, schedule.created_at = str(uuid.uuid4()), NOON
        schedule.status = f"{schedule.mode}D"
        self.server.schedules.append(schedule)
        return schedule

    def list_schedules(self) -> Any:
        namespaces = {one.experiment_id for one in self._of_namespace(self.server.experiments)}
        found = [one for one in self.server.schedules if one.experiment_id in namespaces]
        return api.V2beta1ListRecurringRunsResponse(recurring_runs=found or None, total_size=len(found))

    def switch_schedule(self, schedule_id: str, verb: str) -> Any:
        self._one(self.server.schedules, "recurring_run_id", schedule_id).status = f"{verb.upper()}D"
        return {}

    def delete_schedule(self, schedule_id: str) -> Any:
        self.server.schedules.remove(self._one(self.server.schedules, "recurring_run_id", schedule_id))
        return {}

    def get_run(self, run_id: str) -> Any:
        run = self._one(self.server.runs, "run_id", run_id)
        play = self.server.plays.get(run_id) or [(run.state, [])]
        state, tasks = play.pop(0) if len(play) > 1 else play[0]
        self.server.nodes[run_id] = tasks
        # As the real server does: a task does not name its own pod, so nobody can tell which is below which.
        shown = [copy.copy(task) for task in tasks]
        for task in shown:
            task.pod_name = task.error = None
        if state != run.state:
            run.state_history = [*(run.state_history or []), api.V2beta1RuntimeStatus(update_time=NOON, state=state)]
        run.state, run.run_details = state, api.V2beta1RunDetails(task_details=shown or None)
        if state == "FAILED":
            run.error = api.GoogleRpcStatus(code=2, message="a step failed")
        run.finished_at = NOON + datetime.timedelta(hours=1)
        return run

    def get_workflow(self, run_id: str) -> Any:
        """The first version of the API, with the Argo workflow as text."""
        self._one(self.server.runs, "run_id", run_id)
        workflow = manifest(self.server.nodes.get(run_id, []), self.server.outputs.get(run_id, []))
        return {"run": {"id": run_id}, "pipeline_runtime": {"workflow_manifest": workflow}}

    def get_log(self, run_id: str, pod: str) -> Any:
        """A pod's log as plain text. Kubeflow sends 200 before it looks: what fails then is JSON in the text."""
        if self.server.is_ui:
            raise Refusal(404, "Cannot GET")  # the UI's server hands on v1beta1 and v2beta1 alone
        self._one(self.server.runs, "run_id", run_id)
        text = self.server.logs.get(pod)
        return Text(json.dumps({"error_message": f"pods {pod} not found"}) if text is None else text)

    def get_ui_log(self) -> Any:
        """The same from the UI's own server, which asks Kubernetes and knows no run."""
        if not self.server.is_ui or self.query["podname"] not in self.server.logs:
            raise Refusal(404, "pod not found")
        return Text(self.server.logs[self.query["podname"]])

    def list_runs(self) -> Any:
        namespaces = {one.experiment_id: one for one in self._of_namespace(self.server.experiments)}
        mine = [run for run in self.server.runs if run.experiment_id in namespaces]
        runs = sorted(mine, key=lambda run: run.created_at, reverse=self.query["sort_by"].endswith("desc"))
        start, size = int(self.query.get("page_token") or 0), int(self.query["page_size"])
        more = str(start + size) if len(runs) > start + size else ""
        return api.V2beta1ListRunsResponse(runs=runs[start : start + size], total_size=len(runs), next_page_token=more)

    def _of_namespace(self, experiments: list[Any]) -> list[Any]:
        """As multi-user Kubeflow does: without a namespace nothing is listed."""
        if not self.server.multi_user:
            return experiments
        if not self.query.get("namespace"):
            raise Refusal(400, "In multi-user mode, namespace must be specified.")
        return [one for one in experiments if one.namespace == self.query["namespace"]]

    def _named(self, things: list[Any]) -> list[Any]:
        if "filter" not in self.query:
            return list(things)
        (predicate,) = json.loads(self.query["filter"])["predicates"]
        assert predicate["key"] == "display_name"
        return [one for one in things if one.display_name == predicate["stringValue"]]

    def _one(self, things: list[Any], key: str, value: str) -> Any:
        for one in things:
            if getattr(one, key) == value:
                return one
        raise Refusal(404, f"{key} {value} not found.")

    def _model(self, kind: type) -> Any:
        body = json.loads(self.body)
        unknown = set(body) - set(kind.attribute_map.values())  # type: ignore[attr-defined]
        if unknown:
            raise Refusal(400, f"unknown fields {unknown}")
        response = type("Response", (), {"data": self.body.decode()})
        return api.ApiClient().deserialize(response, kind.__name__)


ROUTES: dict[tuple[str, str], Callable[..., Any]] = {
    ("GET", "healthz"): Handler.healthz,
    ("GET", "pipelines"): Handler.list_pipelines,
    ("POST", "pipelines"): Handler.create_pipeline,
    ("POST", "pipelines/upload_version"): Handler.upload_version,
    ("GET", r"pipelines/([^/]+)/versions"): Handler.list_versions,
    ("GET", r"pipelines/([^/]+)/versions/([^/]+)"): Handler.get_version,
    ("GET", "experiments"): Handler.list_experiments,
    ("POST", "experiments"): Handler.create_experiment,
    ("GET", "recurringruns"): Handler.list_schedules,
    ("POST", "recurringruns"): Handler.create_schedule,
    ("POST", r"recurringruns/([^/:]+):(enable|disable)"): Handler.switch_schedule,
    ("DELETE", r"recurringruns/([^/:]+)"): Handler.delete_schedule,
    ("GET", "runs"): Handler.list_runs,
    ("POST", "runs"): Handler.create_run,
    ("GET", r"runs/([^/:]+)"): Handler.get_run,
    ("GET", r"/apis/v1beta1/runs/([^/:]+)"): Handler.get_workflow,
    ("GET", r"/apis/v1alpha1/runs/([^/:]+)/nodes/([^/:]+)/log"): Handler.get_log,
    ("GET", r"/k8s/pod/logs"): Handler.get_ui_log,
}
