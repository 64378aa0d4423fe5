"""What the pod of a step printed, as far as the cluster still has it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from switchpoint.command.cluster.connection import TEXT
from switchpoint.command.errors import ClusterError
from switchpoint.command.runs.failures import TRACEBACK, own_error

if TYPE_CHECKING:
    from switchpoint.command.cluster.client import Cluster, Run
    from switchpoint.command.documents import Step

# Of the launcher (klog), of Argo's executor that started it, and of kfp's executor inside.
_OTHERS = re.compile(
    r"[IWEF]\d{4} \d\d:\d\d:\d\d\.|time=\S+ level=|\[KFP Executor |Error: exit status \d|panic: |goroutine \d"
)


def tail(cluster: Cluster, run: Run, pod: str) -> str:
    """The end of a pod's log without what others than the step say in it; empty where it can't be had."""
    for path, query in (
        # The API server's own: 2.17 has it as v1alpha1 alone (apiserver/main.go).
        (f"/apis/v1alpha1/runs/{run.run_id}/nodes/{pod}/log", {}),
        # The UI's server does not hand that on and reads the log itself (frontend/server/app.ts).
        ("/k8s/pod/logs", {"podname": pod, "runid": run.run_id, "podnamespace": cluster.own_namespace()}),
    ):
        if text := _text(cluster, path, {name: value for name, value in query.items() if value}):
            return "\n".join(line for line in text.splitlines() if not _OTHERS.match(line))
    return ""


def _text(cluster: Cluster, path: str, query: dict[str, Any]) -> str:
    try:
        with cluster.plainly("read a step's log"):
            text: str = cluster.client._run_api.api_client.call_api(
                path,
                "GET",
                query_params=list(query.items()),
                header_params={"Accept": TEXT},
                response_type="str",
                auth_settings=["Bearer"],
                _return_http_data_only=True,
            )
    except ClusterError:
        return ""  # the log is one way of several to say why; the run's end is told all the same
    if text.lstrip().startswith("<"):
        return ""  # a page, where a proxy does not know the address
    # The API server answers 200 before it looks; that it has no log it then says as JSON, in the log's place.
    log, mark, error = text.rpartition('{"error_message"')
    try:
        json.loads(mark + error)
    except ValueError:
        return text
    return log


def why(cluster: Cluster, run: Run, step: Step) -> str:
    """Why a step failed: its own error, as on a laptop; else what Argo says of its pod, and its last lines."""
    said = tail(cluster, run, step["pod"]) if step.get("pod") else ""
    if TRACEBACK in said:
        return own_error(said)
    last = own_error(said) if said.strip() else ""
    return "\n".join(filter(None, (step.get("error"), last))) or "it does not say why."
