"""What a run on Kubeflow Pipelines says of its tasks, as the steps that a person knows.

KFP runs a pipeline as an Argo workflow and shows the workflow's nodes, not the pipeline's tasks. A task `prepare` is a
node of that name with a node `executor` below it, which Argo skips when the driver found the outputs in the cache; a
round of the ParallelFor is a node `iteration-iterations(2:2)`, and the tasks of that round come after it. Which node is
below which stands in the workflow itself (`of_workflow`); the run's task details leave it out (`of_tasks`).
"""

from __future__ import annotations

import base64
import datetime
import gzip
import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from switchpoint.provenance.digests import STEPS

if TYPE_CHECKING:
    from switchpoint.command.documents import Step

_TASK = re.compile(rf"({'|'.join(STEPS)})(-\d+)?")
_ROUND = re.compile(r"iteration-iterations\((\d+):.*\)")
_STATES = {
    "RUNNING": "running",
    "SUCCEEDED": "ran",
    "SKIPPED": "skipped",
    "FAILED": "failed",
    "ERROR": "failed",
    "CANCELING": "canceled",
    "CANCELED": "canceled",
}
# No pod starts, trains and ends in that time: where nothing else tells, such a task was cached.
INSTANT = 2  # seconds


class Node(NamedTuple):
    """A node of the workflow; `state` in the API's words, `children` by their ids."""

    id: str
    name: str
    state: str
    start: datetime.datetime | None
    end: datetime.datetime | None
    children: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it ran, as far as is known."""
        return max(0.0, (self.end - self.start).total_seconds()) if self.start and self.end else 0.0


def of_workflow(manifest: str) -> list[Node]:
    """The nodes of an Argo workflow.

    Args:
        manifest: JSON of the Workflow; nodes of a large one come compressed (base64 of gzip).
    """
    status = json.loads(manifest).get("status") or {}
    if packed := status.get("compressedNodes"):
        status["nodes"] = json.loads(gzip.decompress(base64.b64decode(packed)))
    return [
        Node(
            node["id"],
            node.get("displayName", ""),
            str(node.get("phase", "")).upper(),
            _time(node.get("startedAt")),
            _time(node.get("finishedAt")),
            tuple(node.get("children") or ()),
        )
        for node in (status.get("nodes") or {}).values()
    ]


def _time(text: str | None) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(text) if text else None


def of_tasks(tasks: Iterable[Any]) -> list[Node]:
    """The same nodes from V2beta1PipelineTaskDetail, which does not say which node is below which."""
    return [
        Node(task.task_id, task.display_name or "", str(task.state), task.start_time, task.end_time) for task in tasks
    ]


def steps(nodes: list[Node], switch_epochs: list[int]) -> list[Step]:
    """The run's steps that have begun, the way the data goes.

    Args:
        nodes: Of the run's workflow.
        switch_epochs: The run's, in the run's own order: the rounds of the loop go by place.
    """
    by_id = {node.id: node for node in nodes}
    rounds = {
        below.id: int(found[1])
        for node in nodes
        if (found := _ROUND.fullmatch(node.name))
        for below in _below(node, by_id)
    }
    result: list[Step] = []
    for node in nodes:
        if not (found := _TASK.fullmatch(node.name)):
            continue
        state = _STATES.get(node.state, "pending")
        executors = [child for child in _children(node, by_id) if child.name == "executor"]
        skipped = any(child.state == "SKIPPED" for child in executors)
        if state == "ran" and (skipped or (not executors and node.seconds <= INSTANT)):
            state = "cached"
        number = rounds.get(node.id)
        result.append(
            {
                "name": found[1],
                "switch_epoch": switch_epochs[number] if number is not None and number < len(switch_epochs) else None,
                "state": state,
                "seconds": node.seconds if state in ("ran", "failed") else None,
                "node": node.id,
            }
        )
    return sorted(
        result, key=lambda step: (step["name"] == "report", step["switch_epoch"] or 0, STEPS.index(step["name"]))
    )


def _children(node: Node, by_id: dict[str, Node]) -> Iterator[Node]:
    return (by_id[child] for child in node.children if child in by_id)


def _below(node: Node, by_id: dict[str, Node]) -> Iterator[Node]:
    """All that comes after a round's node, up to what waits for the whole loop."""
    seen, waiting = set(), [node]
    while waiting:
        for child in _children(waiting.pop(), by_id):
            if child.id not in seen and not child.name.startswith("report"):
                seen.add(child.id)
                waiting.append(child)
                yield child
