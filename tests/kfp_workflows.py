"""What a run looks like to Kubeflow Pipelines: the nodes of its Argo workflow."""

import datetime
import json
import uuid
import zlib
from collections.abc import Iterator
from typing import Any

import kfp_server_api as api

NOON = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)


WORKFLOW = "switchpoint-x7k2p"
UNSCHEDULABLE = "Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
QUOTA = 'pods "switchpoint-x7k2p" is forbidden: exceeded quota: gpus, requested: 1, used: 2, limited: 2'


def manifest(nodes: list[Any], outputs: list[str] | None = None) -> str:
    """The workflow as the API's first version gives it; `outputs` are addresses that its drivers gave outputs."""
    found = workflow_nodes(nodes) | drivers(outputs or [])
    return json.dumps({"metadata": {"name": WORKFLOW}, "status": {"nodes": found}})


def drivers(outputs: list[str]) -> dict[str, Any]:
    """Nodes of drivers that gave outputs their addresses, in the pod that they ask for."""
    nodes = {}
    for number, uri in enumerate(outputs):
        output = {"artifacts": [{"name": "", "uri": uri, "metadata": {}}]}
        said = json.dumps({"inputs": {}, "outputs": {"artifacts": {uri.rpartition("/")[2]: output}}})
        patch = json.dumps({"containers": [{"name": "main", "command": ["launch", "--executor_input", said]}]})
        parameters = [{"name": "pod-spec-patch", "value": patch}, {"name": "cached-decision", "value": "false"}]
        nodes[f"driver-{number}"] = {
            "id": f"driver-{number}", "name": f"driver-{number}", "displayName": f"driver-{number}", "type": "Pod",
            "phase": "Succeeded", "outputs": {"parameters": parameters},
        }  # fmt: skip
    return nodes


def workflow_nodes(nodes: list[Any]) -> dict[str, Any]:
    """Nodes as they stand in an Argo workflow's status."""
    return {(node := _argo(each))["id"]: node for each in nodes}


def _argo(node: Any) -> dict[str, Any]:
    template, _, own = node.pod_name.removeprefix(f"{WORKFLOW}-").rpartition("-")
    name, over = node.display_name, node.state not in ("RUNNING", "PENDING")
    pod = template in ("system-container-driver", "system-container-impl")
    return {
        "id": f"{WORKFLOW}-{own}",
        "name": f"{WORKFLOW}.root.{name}",
        "displayName": name,
        "templateName": template,
        "type": node.state.capitalize() if node.state in ("SKIPPED", "OMITTED") else "Pod" if pod
        else "Retry" if template == "retry-system-container-impl" else "DAG",
        "phase": node.state.capitalize(),
        "message": node.error.message if node.error else "",
        "startedAt": node.start_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "finishedAt": node.end_time.strftime("%Y-%m-%dT%H:%M:%SZ") if over else None,
        "children": [child.pod_name for child in node.child_tasks or []],
    }  # fmt: skip


def pod(key: str, attempt: int | None = None) -> str:
    """The name of the pod that runs a step, such as `prepare` or `finetune_2`; `attempt` where it is retried."""
    part = "executor" if attempt is None else f"executor({attempt})"
    return f"{WORKFLOW}-system-container-impl-{_number(f'{key}.{part}')}"


def _number(name: str) -> int:
    """A node keeps its hash from look to look: it is of its name, with the names of what it is in."""
    return zlib.crc32(name.encode())


def tasks(
    switch_epochs: list[int],
    cached: tuple[str, ...] = (),
    messages: dict[str, str] | None = None,
    attempts: int = 0,
    **states: str,
) -> list[api.V2beta1PipelineTaskDetail]:
    """The nodes of a run's Argo workflow, as the API shows them.

    Args:
        switch_epochs: Of the run.
        cached: Steps that came from the cache: names, or name_epoch within the loop.
        messages: What Argo says of a step's pod.
        attempts: How many pods a step has had so far where the installation retries, as Kubeflow's manifests have it.
        **states: The state of each step that has begun, such as prepare="SUCCEEDED", finetune_4="RUNNING"; PENDING is
            a pod that waits, DRIVER the driver's pod that waits, DRIVER_FAILED one that failed.
    """
    return list(_nodes(switch_epochs, cached, messages or {}, attempts, states))


def _node(
    name: str, state: str, children: list[str], own: int, template: str, seconds: int, message: str = ""
) -> api.V2beta1PipelineTaskDetail:
    return api.V2beta1PipelineTaskDetail(
        run_id="run", task_id=str(uuid.uuid4()), display_name=name, state=state, create_time=NOON, start_time=NOON,
        end_time=NOON + datetime.timedelta(seconds=seconds),
        pod_name=f"{WORKFLOW}-{template}-{own}",
        child_tasks=[api.PipelineTaskDetailChildTask(pod_name=f"{WORKFLOW}-{child}") for child in children] or None,
        error=api.GoogleRpcStatus(message=message) if message else None,
    )  # fmt: skip


def _executor(key: str, state: str, after: list[str], attempts: int, seconds: int, message: str) -> Iterator[Any]:
    """The node that runs the step; where pods are retried it is a node with a pod for each attempt."""
    own = _number(f"{key}.executor")
    if not attempts or state in ("SKIPPED", "OMITTED"):
        yield _node("executor", state, after, own, "system-container-impl", seconds, message)
        return
    pods = [_number(f"{key}.executor({attempt})") for attempt in range(attempts)]
    whole, said = ("RUNNING", "") if state == "PENDING" else (state, "No more retries left" * (state == "FAILED"))
    yield _node("executor", whole, list(map(str, pods)), own, "retry-system-container-impl", seconds, said)
    for attempt, number in enumerate(pods):
        last = attempt == attempts - 1
        name, how = f"executor({attempt})", state if last else "FAILED"
        said = message if last else "Error (exit code 1)"
        yield _node(name, how, after * last, number, "system-container-impl", seconds, said)


def _nodes(
    switch_epochs: list[int], cached: tuple[str, ...], messages: dict[str, str], attempts: int, states: dict[str, str]
) -> Iterator[api.V2beta1PipelineTaskDetail]:
    def step(argo: str, key: str, after: list[str]) -> tuple[int, list[Any]]:
        """Its driver, its DAG, its executor; the executor's children are what waits for it."""
        driver, dag = _number(f"{key}.driver"), _number(f"{key}.dag")
        state, hit, message = states[key], key in cached, messages.get(key, "")
        seconds = 0 if hit else 75
        if state.startswith("DRIVER"):
            how = "FAILED" if state == "DRIVER_FAILED" else "PENDING"
            omitted = [_node(argo, "OMITTED", [], dag, "system-container-executor", 0)] if how == "FAILED" else []
            first = _node(f"{argo}-driver", how, [str(dag)], driver, "system-container-driver", 3, message)
            return driver, [first, *omitted]
        nodes = [
            _node(f"{argo}-driver", "SUCCEEDED", [str(dag)], driver, "system-container-driver", 3),
            _node(
                argo, "RUNNING" if state == "PENDING" else state, [str(_number(f"{key}.executor"))], dag,
                "system-container-executor", seconds,
            ),
            *([] if state == "OMITTED"
              else _executor(key, "SKIPPED" if hit else state, after, attempts, seconds, message)),
        ]  # fmt: skip
        return driver, nodes

    after_loop: list[str] = []
    if "report" in states:
        driver, nodes = step("report", "report", [])
        after_loop = [str(driver)]
        yield from nodes
    rounds = []
    for index, epoch in enumerate(switch_epochs):
        below: list[str] = after_loop
        if f"evaluate_{epoch}" in states:
            driver, nodes = step("evaluate-2", f"evaluate_{epoch}", after_loop)
            below = [str(driver)]
            yield from nodes
        if f"finetune_{epoch}" in states:
            driver, nodes = step("finetune", f"finetune_{epoch}", below)
            yield from nodes
            own = _number(f"round {index}")
            rounds.append(str(own))
            yield _node(
                f"iteration-iterations({index}:{index})", "RUNNING", [str(driver)], own, "comp-for-loop-1-iteration", 9
            )
    loop = _number("loop")
    if rounds:
        yield _node("for-loop-1", "RUNNING", rounds, loop, "comp-for-loop-1-for-loop-1-iterator", 9)
    for name in ("digest", "prepare", "transfer", "evaluate"):
        if name in states:
            _, nodes = step(name, name, [str(loop)] if name == "transfer" and rounds else [])
            yield from nodes
