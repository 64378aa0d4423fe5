"""Runs on Kubeflow Pipelines, through kfp's own client: submit, follow, run again, list.

Nothing is sent before every parameter was checked: the API takes any name and any value. One pipeline, one version for
each compiled package, many runs: KFP looks its cache up under the pipeline's name, and the UI groups runs by version.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kfp_server_api
import urllib3
from kfp import client as kfp_client
from kfp.client.token_credentials_base import TokenCredentialsBase

from switchpoint import addresses
from switchpoint.command import parameters as pipeline_parameters
from switchpoint.command.cluster.errors import PassingError, plainly
from switchpoint.command.cluster.steps import of_tasks, of_workflow, steps
from switchpoint.command.errors import ClusterError
from switchpoint.errors import ParameterError

if TYPE_CHECKING:
    from switchpoint import documents
    from switchpoint.documents import Step

Values = dict[str, Any]
Run = Any  # kfp_server_api.V2beta1Run

PIPELINE = "switchpoint"
CONNECT, READ = 10, 60  # seconds
RETRIES = urllib3.Retry(connect=2, read=1, redirect=5, backoff_factor=0.5, respect_retry_after_header=False)
# About 2.9 kB of the report's one argument each; Linux allows 128 KiB.
MOST_SWITCH_EPOCHS = 36
PATIENCE = 300.0  # seconds without an answer before following a run gives up
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 20.0  # seconds between two looks at a run
FINISHED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")


def check_visible(values: Values, pipeline_root: str | None = None) -> None:
    """Refuse a dataset or weights that lie on this machine, where no pod sees them.

    Raises:
        ParameterError: Says how to upload what is there, or that nothing is there.
    """
    if len(values["switch_epochs"]) > MOST_SWITCH_EPOCHS:
        raise ParameterError(
            f"switch_epochs has {len(values['switch_epochs'])} epochs: a run on Kubeflow takes {MOST_SWITCH_EPOCHS} at "
            "most, since KFP hands the report all of its inputs in one argument. Spread them over several runs."
        )
    bucket = addresses.parse(pipeline_root)[0] if pipeline_root and addresses.is_remote(pipeline_root) else "BUCKET"
    pipeline_parameters.check_addresses(values)
    for name in ("dataset", "weights"):
        value = str(values[name])
        if not addresses.is_local(value, name):
            continue
        path = Path(value).expanduser().resolve()
        target = f"gs://{bucket}/{'datasets' if name == 'dataset' else 'weights'}/{path.name}"
        raise ParameterError(
            f"{name}={value!r} is on this machine, where the cluster can't see it. Upload it, then pass its address:\n"
            f"  switchpoint upload {value} {target}\n"
            f"  --{name} {target}"
        )


def name_of(values: Values) -> str:
    """What the run is called in the UI: `food-101 efficientnet_b0 1,2,4,8,14`."""
    dataset = re.sub(r"(\.tar)?\.gz$|\.tgz$", "", str(values["dataset"]).removeprefix("tfds:").rstrip("/"))
    epochs = ",".join(map(str, values["switch_epochs"]))
    return f"{dataset.rpartition('/')[2]} {values['backbone']} {epochs}"


def describe(values: Values, profile: str, commit: str | None) -> str:
    """The run in a sentence."""
    epochs = ", ".join(map(str, values["switch_epochs"]))
    return (
        f"{values['transfer_epochs']} epochs of transfer learning, then {values['finetune_epochs']} of fine-tuning "
        f"from each of {epochs}. Dataset {values['dataset']}, backbone {values['backbone']}, "
        f"weights {values['weights']}. Profile {profile}, commit {commit or 'unknown'}."
    )


class _TokenFile(TokenCredentialsBase):  # type: ignore[misc]
    """Reads the token anew for each request, for whoever renews it there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def refresh_api_key_hook(self, config: Any) -> None:
        """Put the token where the client looks for it."""
        config.api_key["authorization"] = self.path.read_text(encoding="utf-8").strip()


class _Client(kfp_client.Client):  # type: ignore[misc]
    """kfp's, with retries that end; its health check, which logs a traceback five times, comes later and once."""

    def _load_config(self, *arguments: Any) -> Any:
        config = super()._load_config(*arguments)
        config.retries = RETRIES
        return config

    def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:
        return kfp_server_api.V2beta1GetHealthzResponse(multi_user=False)


class Cluster:
    """One Kubeflow Pipelines, and who talks to it."""

    def __init__(
        self,
        host: str | None = None,
        namespace: str | None = None,
        token: str | None = None,
        token_file: Path | None = None,
        cookies: str | None = None,
        ca_cert: Path | None = None,
    ) -> None:
        """Connect, and see that Kubeflow Pipelines answers.

        Args:
            host: Its address; without one kfp looks into the pod it runs in, then into the kubeconfig.
            namespace: For multi-user Kubeflow, the profile's.
            token: Sent as Bearer.
            token_file: The same from a file, read anew each time.
            cookies: Sent as they are, such as authservice_session=….
            ca_cert: Certificate authority of the host, when it is not a public one.

        Raises:
            ClusterError: It does not answer, or not with Kubeflow's API.
        """
        if token_file and not token_file.is_file():
            raise ParameterError(f"--token-file {token_file} is no file.")
        self.namespace = namespace
        self._logged_in = bool(token or token_file or cookies)
        with _quietly():
            self.client = _Client(
                host=host,
                namespace=namespace or "kubeflow",
                existing_token=token,
                credentials=_TokenFile(token_file) if token_file else None,
                cookies=cookies,
                ssl_ca_cert=str(ca_cert) if ca_cert else None,
            )
        self.host = self.client._existing_config.host
        self._limit_requests()
        with self._plainly("reach Kubeflow Pipelines", missing="Its address ends where /apis/v2beta1 begins"):
            health = self.client._healthz_api.healthz_service_get_healthz()
        if health.multi_user and not (self.namespace or self.client.get_user_namespace()):
            raise ClusterError(
                f"{self.host} is a multi-user Kubeflow. Pass your profile's namespace: --namespace NAMESPACE."
            )

    def _limit_requests(self) -> None:
        """Give every request a time limit, and refuse a page where the API's JSON belongs."""
        rest = self.client._run_api.api_client.rest_client
        original = rest.request

        def request(method: str, url: str, *arguments: Any, **keywords: Any) -> Any:
            keywords["_request_timeout"] = (CONNECT, READ)
            response = original(method, url, *arguments, **keywords)
            if (response.data or b"{}").lstrip()[:1] not in (b"{", b"["):
                raise ClusterError(
                    f"{self.host} answers with a web page instead of Kubeflow's API, most likely a login page. "
                    "Pass --cookies, --token or --token-file, or the address of the API itself."
                )
            return response

        rest.request = request

    def url(self, run_id: str) -> str:
        """Where a person sees the run."""
        return f"{self.client._get_url_prefix()}/#/runs/details/{run_id}"

    def submit(
        self,
        values: Values,
        package: str,
        *,
        profile: str,
        commit: str | None,
        experiment: str = PIPELINE,
        pipeline_root: str | None = None,
        service_account: str | None = None,
    ) -> Run:
        """Start a run of the package, which is uploaded when it is not there yet.

        Args:
            values: All of the pipeline's parameters, checked.
            package: The compiled pipeline.
            profile: The name of the profile it was compiled with.
            commit: The code's, for people.
            experiment: What the UI groups the run under; made when it is not there.
            pipeline_root: Where artifacts go; by default what the cluster is set to.
            service_account: What its pods run as; by default what the cluster is set to.
        """
        version = self.version(package, profile, commit)
        return self._start(
            values, version, self._experiment(experiment), pipeline_root, service_account,
            describe(values, profile, commit),
        )  # fmt: skip

    def resubmit(self, run: Run, values: Values, description: str, version: tuple[str, str] | None = None) -> Run:
        """Start a run beside an earlier one: same experiment, root, account and, unless another is given, version."""
        reference = run.pipeline_version_reference
        root = run.runtime_config.pipeline_root if run.runtime_config else None
        version = version or (reference.pipeline_id, reference.pipeline_version_id)
        return self._start(values, version, run.experiment_id, root, run.service_account, description)

    def _start(
        self,
        values: Values,
        version: tuple[str, str],
        experiment_id: str,
        pipeline_root: str | None,
        service_account: str | None,
        description: str,
    ) -> Run:
        body = kfp_server_api.V2beta1Run(
            experiment_id=experiment_id,
            display_name=name_of(values),
            description=description,
            pipeline_version_reference=kfp_server_api.V2beta1PipelineVersionReference(
                pipeline_id=version[0], pipeline_version_id=version[1]
            ),
            # Every parameter: one that is left to its default has another cache key than the same value given.
            runtime_config=kfp_server_api.V2beta1RuntimeConfig(parameters=values, pipeline_root=pipeline_root or None),
            service_account=service_account or None,
        )
        with self._plainly(
            "start the run", unsure="It may have been started all the same: look at `switchpoint runs` first"
        ):
            return self.client._run_api.run_service_create_run(run=body)

    def _pipeline(self) -> str:
        """The pipeline's id; made when it is not there."""

        def find() -> str | None:
            with self._plainly("list pipelines"):
                found = self.client.list_pipelines(filter=_named(PIPELINE), namespace=self._own_namespace()).pipelines
            return found[0].pipeline_id if found else None

        def make() -> str:
            body = kfp_server_api.V2beta1Pipeline(
                name=PIPELINE,
                display_name=PIPELINE,
                description="After how many epochs of transfer learning should fine-tuning start?",
                namespace=self._own_namespace(),
            )
            return str(self.client._pipelines_api.pipeline_service_create_pipeline(pipeline=body).pipeline_id)

        return self._found_or_made(find, make, "create the pipeline")

    def version(self, package: str, profile: str, commit: str | None) -> tuple[str, str]:
        """Ids of the pipeline and of its version that is this package, byte for byte; uploaded when it is not there."""
        pipeline_id = self._pipeline()
        name = f"{profile}-{hashlib.sha256(package.encode()).hexdigest()[:12]}"

        def find() -> str | None:
            with self._plainly("list the pipeline's versions"):
                found = self.client.list_pipeline_versions(pipeline_id, filter=_named(name)).pipeline_versions
            return found[0].pipeline_version_id if found else None

        def make() -> str:
            with tempfile.TemporaryDirectory() as directory:
                path = Path(directory, f"{name}.yaml")
                path.write_text(package, encoding="utf-8")
                uploaded = self.client._upload_api.upload_pipeline_version(
                    str(path),
                    name=name,
                    pipelineid=pipeline_id,
                    description=f"Profile {profile}, commit {commit or 'unknown'}.",
                    tags=json.dumps({"profile": profile, "commit": commit or "unknown"}),
                )
            return str(uploaded.pipeline_version_id)

        return pipeline_id, self._found_or_made(find, make, "upload the pipeline")

    def _found_or_made(self, find: Callable[[], str | None], make: Callable[[], str], doing: str) -> str:
        """Look, else make, and look again when someone else made it meanwhile."""
        if found := find():
            return found
        try:
            with self._plainly(doing):
                return make()
        except ClusterError as error:
            conflict = getattr(error.__cause__, "status", None) == 409
            if conflict and (found := find()):
                return found
            raise

    def _experiment(self, name: str) -> str:
        with self._plainly(f"open the experiment {name!r}"), _quietly():
            return str(self.client.create_experiment(name, namespace=self.namespace).experiment_id)

    def _own_namespace(self) -> str | None:
        return self.namespace or self.client.get_user_namespace() or None

    def run(self, run_id: str) -> Run:
        """A run and what is known of its tasks.

        Raises:
            ClusterError: There is none, or it can't be had.
        """
        with self._plainly(
            f"read run {run_id}", missing=f"There is no run {run_id}. List them: switchpoint runs --host …"
        ):
            return self.client.get_run(run_id)

    def runs(self, limit: int = 100) -> list[Run]:
        """Runs of this pipeline, newest first."""
        found: list[Run] = []
        token = ""
        while len(found) < limit:
            with self._plainly("list runs"):
                page = self.client.list_runs(
                    page_token=token, page_size=100, sort_by="created_at desc", namespace=self._own_namespace()
                )
            found += [run for run in page.runs or [] if "switch_epochs" in parameters_of(run)]
            token = page.next_page_token or ""
            if not token:
                break
        return found[:limit]

    def document(self, run: Run) -> documents.Run:
        """A run as `switchpoint runs` shows it."""
        values = parameters_of(run)
        return {
            "id": run.run_id,
            "name": run.display_name,
            "state": str(run.state).lower(),
            "parameters": values,
            "steps": self.steps(run),
            "results": [],
            "started": run.created_at.isoformat() if run.created_at else "",
            "ended": run.finished_at.isoformat() if run.state in FINISHED and run.finished_at else None,
            "url": self.url(run.run_id),
        }

    def steps(self, run: Run) -> list[Step]:
        """The steps that have begun."""
        tasks = (run.run_details.task_details if run.run_details else None) or []
        nodes = of_workflow(self._workflow(run.run_id)) if tasks else []
        return steps(nodes or of_tasks(tasks), _epochs(parameters_of(run)))

    def _workflow(self, run_id: str) -> str:
        """The run's Argo workflow as JSON. Only the API's first version gives it; where that is gone, an empty one."""
        try:
            with self._plainly(f"read the workflow of run {run_id}"):
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
        seen: dict[Any, str] = {}
        while True:
            try:
                run = self.run(run_id)
                now = self.steps(run)
                heard = time.monotonic()
            except PassingError as error:
                if time.monotonic() - heard > PATIENCE:
                    raise ClusterError(f"{error}\nThe run itself goes on: {self.url(run_id)}") from error
            else:
                for step in now:
                    if seen.get(step["node"]) != step["state"]:
                        seen[step["node"]] = step["state"]
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
        with self._plainly(f"read the pipeline of run {run.run_id}", missing="Its version was deleted"):
            return self.client.get_pipeline_version(reference.pipeline_id, reference.pipeline_version_id)

    def _plainly(self, doing: str, missing: str = "", unsure: str = "") -> contextlib.AbstractContextManager[None]:
        return plainly(self.host, doing, missing, unsure, logged_in=self._logged_in, namespace=self._own_namespace())


def _named(name: str) -> str:
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


def parameters_of(run: Run) -> Values:
    """A run's parameters as numbers and lists: the API gives numbers as floats, and a cloned run lists as JSON."""
    values = dict((run.runtime_config and run.runtime_config.parameters) or {})
    if "switch_epochs" in values:
        values["switch_epochs"] = _epochs(values)
    return values


def _epochs(values: Values) -> list[int]:
    epochs = values.get("switch_epochs", [])
    return [int(epoch) for epoch in (json.loads(epochs) if isinstance(epochs, str) else epochs)]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep kfp's links and warnings off the terminal."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
