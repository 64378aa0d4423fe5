"""What a run on Kubeflow Pipelines says of its tasks, as the steps that a person knows.

The API shows the nodes of the Argo workflow, not the pipeline's tasks. A task `prepare` is a node of that name with a
node `executor` below it, which Argo skips when the driver found the outputs in the cache; a round of the ParallelFor
is a node `iteration-iterations(2:2)`, and the tasks of that round come after it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from switchpoint.identity import STEPS
from switchpoint.planning import Step

_TASK = re.compile(rf"({'|'.join(STEPS)})(-\d+)?")
_ROUND = re.compile(r"iteration-iterations\((\d+):.*\)")
_STATES = {
    "RUNNING": "running",
    "SUCCEEDED": "ran",
    "SKIPPED": "skipped",
    "FAILED": "failed",
    "CANCELING": "canceled",
    "CANCELED": "canceled",
}
# No pod starts, trains and ends in that time: where nothing else tells, such a task was cached.
INSTANT = 2  # seconds


def steps(tasks: Iterable[Any], switch_epochs: list[int]) -> list[Step]:
    """The run's steps that have begun, the way the data goes.

    Args:
        tasks: V2beta1PipelineTaskDetail, as the API gives them.
        switch_epochs: The run's, in the run's own order: the rounds of the loop go by place.
    """
    nodes = list(tasks)
    by_hash = {_hash(node.pod_name): node for node in nodes if node.pod_name}
    rounds = {}
    for node in nodes:
        if found := _ROUND.fullmatch(node.display_name or ""):
            for below in _below(node, by_hash):
                rounds[id(below)] = int(found[1])
    result = []
    for node in nodes:
        if not (found := _TASK.fullmatch(node.display_name or "")):
            continue
        state = _STATES.get(str(node.state), "pending")
        executors = [child for child in _children(node, by_hash) if child.display_name == "executor"]
        skipped = any(child.state == "SKIPPED" for child in executors)
        if state == "ran" and (skipped or (not executors and _seconds(node) <= INSTANT)):
            state = "cached"
        number = rounds.get(id(node))
        result.append(
            {
                "name": found[1],
                "switch_epoch": switch_epochs[number] if number is not None and number < len(switch_epochs) else None,
                "state": state,
                "seconds": _seconds(node) if state in ("ran", "failed") else None,
                "node": node.pod_name or node.task_id,
            }
        )
    return sorted(
        result, key=lambda step: (step["name"] == "report", step["switch_epoch"] or 0, STEPS.index(step["name"]))
    )


def _hash(name: str) -> str:
    # A node's id is WORKFLOW-HASH, its pod's name WORKFLOW-TEMPLATE-HASH; the hash is the same.
    return name.rpartition("-")[2]


def _children(node: Any, by_hash: dict[str, Any]) -> Iterator[Any]:
    for child in node.child_tasks or []:
        if (found := by_hash.get(_hash(child.pod_name or ""))) is not None:
            yield found


def _below(node: Any, by_hash: dict[str, Any]) -> Iterator[Any]:
    """All that comes after a round's node, up to what waits for the whole loop."""
    seen, waiting = set(), [node]
    while waiting:
        for child in _children(waiting.pop(), by_hash):
            if id(child) not in seen and not (child.display_name or "").startswith("report"):
                seen.add(id(child))
                waiting.append(child)
                yield child


def _seconds(node: Any) -> float:
    if node.start_time is None or node.end_time is None:
        return 0.0
    return float(max(0.0, (node.end_time - node.start_time).total_seconds()))
