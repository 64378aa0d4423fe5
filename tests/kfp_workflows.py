"""What a run looks like to Kubeflow Pipelines: the nodes of its Argo workflow."""

import datetime
import json
import uuid
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import kfp_server_api as api

NOON = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)

Nodes = tuple[list[str], list[Any]]  # the numbers of those that come first, and all of them


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
    pod = template in ("system-container-driver", "system-container-impl", "system-dag-driver")
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
    seeds: Sequence[int] = (1,),
    **states: str,
) -> list[api.V2beta1PipelineTaskDetail]:
    """The nodes of a run's Argo workflow, as the API shows them.

    Args:
        switch_epochs: Of the run.
        cached: Steps that came from the cache, by name, name_epoch, name_seed_2 or name_epoch_seed_2: those of the
            first seed go without it.
        messages: What Argo says of a step's pod.
        attempts: How many pods a step has had so far where the installation retries, as Kubeflow's manifests have it.
        seeds: Of the run.
        **states: The state of each step that has begun, such as prepare="SUCCEEDED", finetune_4="RUNNING"; PENDING is
            a pod that waits, DRIVER the driver's pod that waits, DRIVER_FAILED one that failed.
    """
    return _nodes(switch_epochs, list(seeds), _Told(cached, messages or {}, attempts, states))


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


class _Told(NamedTuple):
    """What became of a run's steps: see `tasks`."""

    cached: tuple[str, ...]
    messages: dict[str, str]
    attempts: int
    states: dict[str, str]


def _step(argo: str, key: str, after: list[str], told: _Told) -> Nodes:
    """A step's driver, its DAG, its executor, whose children are what waits for it; nothing if it has not begun."""
    if key not in told.states:
        return [], []
    driver, dag = _number(f"{key}.driver"), _number(f"{key}.dag")
    state, hit, message = told.states[key], key in told.cached, told.messages.get(key, "")
    seconds = 0 if hit else 75
    if state.startswith("DRIVER"):
        how = "FAILED" if state == "DRIVER_FAILED" else "PENDING"
        omitted = [_node(argo, "OMITTED", [], dag, "system-container-executor", 0)] if how == "FAILED" else []
        first = _node(f"{argo}-driver", how, [str(dag)], driver, "system-container-driver", 3, message)
        return [str(driver)], [first, *omitted]
    nodes = [
        _node(f"{argo}-driver", "SUCCEEDED", [str(dag)], driver, "system-container-driver", 3),
        _node(
            argo, "RUNNING" if state == "PENDING" else state, [str(_number(f"{key}.executor"))], dag,
            "system-container-executor", seconds,
        ),
        *([] if state == "OMITTED"
          else _executor(key, "SKIPPED" if hit else state, after, told.attempts, seconds, message)),
    ]  # fmt: skip
    return [str(driver)], nodes


def _loop(name: str, key: str, rounds: list[Nodes]) -> Nodes:
    """A ParallelFor, as v2/compiler/argocompiler/dag.go makes it; its rounds go by place."""
    if not any(first for first, _ in rounds):
        return [], []
    loop, driver, group = (_number(f"{key}.{part}") for part in ("loop", "driver", "group"))
    begun = [(number, *round_) for number, round_ in enumerate(rounds) if round_[0]]
    own = {number: str(_number(f"{key}.{number}")) for number, _, _ in begun}
    nodes = [
        _node(name, "RUNNING", [str(driver)], loop, f"comp-{name}-{name}-iterator", 9),
        _node("iteration-driver", "SUCCEEDED", [str(group)], driver, "system-dag-driver", 3),
        _node("iteration-iterations", "RUNNING", list(own.values()), group, f"comp-{name}-iteration", 9),
    ]
    for number, first, below in begun:
        before, item = (_number(f"{key}.{number}.{part}") for part in ("driver", "item"))
        title = f"iteration-iterations({number}:{number})"
        nodes += [
            _node(title, "RUNNING", [str(before)], int(own[number]), f"comp-{name}-iteration", 9),
            _node("iteration-item-driver", "SUCCEEDED", [str(item)], before, "system-dag-driver", 3),
            _node("iteration-item", "RUNNING", first, item, f"comp-{name}", 9),
            *below,
        ]
    return [str(loop)], nodes


def _of_seed(switch_epochs: list[int], end: str, after: list[str], told: _Told) -> Nodes:
    """A round of the loop over seeds: its steps' keys have that end; `after` is what waits for the loop."""
    collecting, collect = _step("collect", f"collect{end}", after, told)
    rounds = []
    for epoch in switch_epochs:
        evaluating, evaluate = _step("evaluate-2", f"evaluate_{epoch}{end}", collecting or after, told)
        tuning, finetune = _step("finetune", f"finetune_{epoch}{end}", evaluating or collecting or after, told)
        rounds.append((tuning, finetune + evaluate))
    looping, loop = _loop("for-loop-2", f"epochs{end}", rounds)
    alone, baseline = _step("evaluate", f"evaluate{end}", collecting, told)
    first, transfer = _step("transfer", f"transfer{end}", [*alone, *looping, *collecting], told)
    # A test may begin in the middle.
    return first or looping, transfer + baseline + loop + collect


def _nodes(switch_epochs: list[int], seeds: list[int], told: _Told) -> list[api.V2beta1PipelineTaskDetail]:
    reporting, report = _step("report", "report", [], told)
    rounds = [
        _of_seed(switch_epochs, f"_seed_{seed}" if number else "", reporting, told) for number, seed in enumerate(seeds)
    ]
    looping, loop = _loop("for-loop-1", "seeds", rounds)
    preparing, prepare = _step("prepare", "prepare", [*looping, *reporting], told)
    _, digest = _step("digest", "digest", [*preparing, *looping], told)
    return report + loop + digest + prepare
