"""What a run looks like to Kubeflow Pipelines: the nodes of its Argo workflow."""

import datetime
import uuid
import zlib
from collections.abc import Iterator
from typing import Any

import kfp_server_api as api

NOON = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)


def workflow_nodes(nodes: list[Any]) -> dict[str, Any]:
    """Nodes as they stand in an Argo workflow's status."""
    ids = {node.pod_name.rpartition("-")[2]: f"switchpoint-x7k2p-{node.pod_name.rpartition('-')[2]}" for node in nodes}
    return {
        ids[node.pod_name.rpartition("-")[2]]: {
            "id": ids[node.pod_name.rpartition("-")[2]],
            "name": f"switchpoint-x7k2p.root.{node.display_name}",
            "displayName": node.display_name,
            "type": "DAG",
            "phase": node.state.capitalize(),
            "startedAt": node.start_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "finishedAt": node.end_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "children": [child.pod_name for child in node.child_tasks or []],
        }
        for node in nodes
    }


def tasks(switch_epochs: list[int], cached: tuple[str, ...] = (), **states: str) -> list[api.V2beta1PipelineTaskDetail]:
    """The nodes of a run's Argo workflow, as the API shows them.

    Args:
        switch_epochs: Of the run.
        cached: Steps that came from the cache: names, or name_epoch within the loop.
        **states: The state of each step that has begun, such as prepare="SUCCEEDED", finetune_4="RUNNING".
    """
    return list(_nodes(switch_epochs, cached, states))


def _nodes(
    switch_epochs: list[int], cached: tuple[str, ...], states: dict[str, str]
) -> Iterator[api.V2beta1PipelineTaskDetail]:
    def number(name: str) -> int:
        """A node keeps its hash from look to look: it is of its name, with the names of what it is in."""
        return zlib.crc32(name.encode())

    def node(name: str, state: str, children: list[str], own: int, template: str, seconds: int) -> Any:
        return api.V2beta1PipelineTaskDetail(
            run_id="run", task_id=str(uuid.uuid4()), display_name=name, state=state, create_time=NOON, start_time=NOON,
            end_time=NOON + datetime.timedelta(seconds=seconds),
            pod_name=f"switchpoint-x7k2p-{template}-{own}",
            child_tasks=[api.PipelineTaskDetailChildTask(pod_name=f"switchpoint-x7k2p-{child}") for child in children]
            or None,
        )  # fmt: skip

    def step(argo: str, key: str, after: list[str]) -> tuple[int, list[Any]]:
        """Its driver, its DAG, its executor; the executor's children are what waits for it."""
        driver, dag, executor = (number(f"{key}.{part}") for part in ("driver", "dag", "executor"))
        state, hit = states[key], key in cached
        seconds = 0 if hit else 75
        return driver, [
            node(f"{argo}-driver", "SUCCEEDED", [str(dag)], driver, "system-container-driver", 3),
            node(argo, state, [str(executor)], dag, "system-container-executor", seconds),
            node("executor", "SKIPPED" if hit else state, after, executor, "system-container-impl", seconds),
        ]

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
            own = number(f"round {index}")
            rounds.append(str(own))
            yield node(
                f"iteration-iterations({index}:{index})", "RUNNING", [str(driver)], own, "comp-for-loop-1-iteration", 9
            )
    loop = number("loop")
    if rounds:
        yield node("for-loop-1", "RUNNING", rounds, loop, "comp-for-loop-1-for-loop-1-iterator", 9)
    for name in ("prepare", "transfer", "evaluate"):
        if name in states:
            _, nodes = step(name, name, [str(loop)] if name == "transfer" and rounds else [])
            yield from nodes
