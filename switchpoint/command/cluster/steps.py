"""What a run on Kubeflow Pipelines says of its tasks, as the steps that a person knows.

KFP runs a pipeline as an Argo workflow and shows the workflow's nodes, not the pipeline's tasks. A task `prepare` is a
node `prepare-driver`, which looks into the cache, and after it a node `prepare` with a node `executor` below it, which
Argo skips when the outputs are in the cache. Where pods are retried, as Kubeflow's own manifests have it, a driver and
an executor are nodes with a pod `executor(0)`, `executor(1)`, … below them for each attempt. A pod that waits says why
in its own node; the nodes above say that they run. A round of the ParallelFor is a node `iteration-iterations(2:2)`,
and the tasks of that round come after it. Which node is below which stands in the workflow itself (`of_workflow`); the
run's task details leave it out (`of_tasks`).
"""

from __future__ import annotations

import base64
import datetime
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from switchpoint.command.runs.steps import order
from switchpoint.provenance.digests import STEPS

if TYPE_CHECKING:
    from switchpoint.command.documents import Step

_TASK = re.compile(rf"({'|'.join(STEPS)})(-\d+)?(-driver)?")
_ROUND = re.compile(r"iteration-iterations\((\d+):.*\)")
_ATTEMPT = re.compile(r".*\(\d+\)")
_FAILED = ("FAILED", "ERROR")
_STATES = {
    "RUNNING": "running",
    "SUCCEEDED": "ran",
    "SKIPPED": "skipped",
    "OMITTED": "skipped",
    "FAILED": "failed",
    "ERROR": "failed",
    "CANCELING": "canceled",
    "CANCELED": "canceled",
}
# No pod starts, trains and ends in that time: where nothing else tells, such a task was cached.
INSTANT = 2  # seconds
# A search's tasks, by rung: the numbers are KFP's, in the order in which pipeline.py has them.
RUNGS = {"finetune": 1, "finetune-2": 2, "halve": 1, "halve-2": 2}
# What a pod says that is about to run; nobody has to do anything about it.
_STARTING = ("", "ContainerCreating", "PodInitializing")


N = TypeVar("N", int, float)
Rounds = tuple[int | None, int | None]  # of the loop over seeds, and of the loop over candidates inside it


class Node(NamedTuple):
    """A node of the workflow; `state` in the API's words, `children` by their ids, `pod` the pod's name, if any."""

    id: str
    name: str
    state: str
    start: datetime.datetime | None
    end: datetime.datetime | None
    children: tuple[str, ...] = ()
    message: str = ""
    pod: str = ""

    @property
    def seconds(self) -> float:
        """How long it ran, as far as is known."""
        return max(0.0, (self.end - self.start).total_seconds()) if self.start and self.end else 0.0

    @property
    def waits(self) -> bool:
        """Whether its pod can't start, for a reason that a person should know."""
        return bool(self.pod) and self.state == "PENDING" and self.message not in _STARTING


def unpacked(manifest: str) -> str:
    """A workflow as JSON with its nodes, which come compressed (base64 of gzip) where they are many."""
    workflow = json.loads(manifest)
    status = workflow.get("status") or {}
    if packed := status.pop("compressedNodes", None):
        status["nodes"] = json.loads(gzip.decompress(base64.b64decode(packed)))
    return json.dumps(workflow)


def of_workflow(manifest: str) -> list[Node]:
    """The nodes of an Argo workflow.

    Args:
        manifest: JSON of the Workflow; nodes of a large one come compressed (base64 of gzip).
    """
    workflow = json.loads(unpacked(manifest))
    status = workflow.get("status") or {}
    return [
        Node(
            node["id"],
            node.get("displayName", ""),
            str(node.get("phase", "")).upper(),
            _time(node.get("startedAt")),
            _time(node.get("finishedAt")),
            tuple(node.get("children") or ()),
            node.get("message") or "",
            _pod(workflow.get("metadata") or {}, node),
        )
        for node in (status.get("nodes") or {}).values()
    ]


def _pod(workflow: dict[str, Any], node: dict[str, Any]) -> str:
    """The name of a node's pod: WORKFLOW-TEMPLATE-hash, as Argo makes it (workflow/util/pod_name.go)."""
    if node.get("type") != "Pod":
        return ""
    if (workflow.get("annotations") or {}).get("workflows.argoproj.io/pod-name-format") == "v1":
        return str(node["id"])
    template = node.get("templateName") or (node.get("templateRef") or {}).get("template", "")
    prefix = f"{workflow.get('name', '')}-{template}"
    return f"{prefix[:242]}-{node['id'].rpartition('-')[2]}"  # 253 characters less a hash of ten and its hyphen


def _time(text: str | None) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(text) if text else None


def of_tasks(tasks: Iterable[Any]) -> list[Node]:
    """The same nodes from V2beta1PipelineTaskDetail, which does not say which node is below which."""
    return [
        Node(task.task_id, task.display_name or "", str(task.state), task.start_time, task.end_time) for task in tasks
    ]


def steps(
    nodes: list[Node], candidates: list[tuple[int, float]], seeds: list[int], search: str = "sweep"
) -> list[Step]:
    """The run's steps that have begun, the way the data goes.

    A search's rounds go by place among those that the rung before left, which a workflow does not say: of later rungs,
    and of what comes after the search, switch epochs are not known.

    Args:
        nodes: Of the run's workflow.
        candidates: The run's, as `runs.steps.rounds` gives them: the rounds of a loop go by place.
        seeds: The run's, in the run's own order.
        search: The run's: it decides which task is which step.
    """
    by_id = {node.id: node for node in nodes}
    rungs = RUNGS if search == "halving" else {}
    rounds = _rounds(nodes, by_id, rungs)
    drivers: dict[tuple[str, Rounds], Node] = {}
    result: dict[tuple[str, Rounds, str], Step] = {}
    for node in nodes:
        if found := _TASK.fullmatch(node.name):
            number = rounds.get(node.id, (None, None))
            task = f"{found[1]}{found[2] or ''}"
            if found[3] and (node.pod or node.children):
                drivers[task, number] = node
            elif not found[3]:
                # Without rounds, nodes of the same task are told apart by their ids.
                result[task, number, node.id] = _step(node, by_id)
    for (task, number), driver in drivers.items():
        found_steps = [key for key in result if key[:2] == (task, number)]
        if blocked := _blocked(driver, by_id, bool(found_steps)):
            for key in found_steps:
                del result[key]
            result[task, number, driver.id] = blocked
    first = min(seeds, default=None)
    named: list[Step] = []
    for (task, (of_seeds, of_candidates), _), step in result.items():
        if rungs and task == "transfer-2" and _of(of_seeds, seeds) == first and step["state"] == "cached":
            continue  # the search has it
        rung = rungs.get(task)
        known = candidates if not rungs or rung == 1 else []
        named.append(
            {
                **step,
                "name": task.split("-")[0],
                "seed": first if rung or (rungs and task == "transfer") else _of(of_seeds, seeds),
                "switch_epoch": _of(of_candidates, [epoch for epoch, _ in known]),
                "learning_rate": _of(of_candidates, [rate for _, rate in known]),
                "rung": rung,
            }
        )
    return sorted(named, key=order)


def _of(number: int | None, values: list[N]) -> N | None:
    return values[number] if number is not None and number < len(values) else None


def _rounds(nodes: list[Node], by_id: dict[str, Node], rungs: Mapping[str, int]) -> dict[str, Rounds]:
    """In which round of the loop over seeds each node is, and in which of the loop over candidates inside it."""
    numbers = {node.id: int(found[1]) for node in nodes if (found := _ROUND.fullmatch(node.name))}
    searched: dict[str, Rounds] = {}
    for node, number in [*numbers.items()] if rungs else []:
        near = list(_below(by_id[node], by_id, "halve", "collect", "report"))
        if any(below.name.removesuffix("-driver") in rungs for below in near):
            del numbers[node]
            searched |= {below.id: (None, number) for below in near}
    whole = {node: {below.id for below in _below(by_id[node], by_id, "report")} for node in numbers}
    inner = {node for inside in whole.values() for node in inside & numbers.keys()}
    rounds: dict[str, Rounds] = {
        below: (numbers[node], None) for node in numbers.keys() - inner for below in whole[node]
    }
    for node in inner:
        for below in _below(by_id[node], by_id, "collect", "report"):
            rounds[below.id] = (rounds[node][0], numbers[node])
    return rounds | searched


def _step(node: Node, by_id: dict[str, Node]) -> Step:
    """A task's node as a step, still without its name."""
    state = _STATES.get(node.state, "pending")
    executors = [child for child in _children(node, by_id) if child.name == "executor"]
    skipped = any(child.state == "SKIPPED" for child in executors)
    if state == "ran" and (skipped or (not executors and node.seconds <= INSTANT)):
        state = "cached"
    step = _made(node, state)
    for executor in executors:
        _explain(step, last_attempt(executor, by_id))
    return step


def _made(node: Node, state: str) -> Step:
    seconds = node.seconds if state in ("ran", "failed") else None
    return {
        "name": "", "seed": None, "switch_epoch": None, "learning_rate": None, "rung": None, "state": state,
        "seconds": seconds, "node": node.id,
    }  # fmt: skip


def _explain(step: Step, pod: Node) -> None:
    """Say why a step waits or failed, as far as its pod's node tells it."""
    if step["state"] in ("running", "pending") and pod.waits:
        step["state"], step["why"] = "waiting", pod.message
    elif step["state"] == "failed":
        step["error"], step["pod"] = pod.message or None, pod.pod


def _blocked(driver: Node, by_id: dict[str, Node], begun: bool) -> Step | None:
    """The step of a driver that can't start, or that failed: what comes after it is omitted."""
    pod = last_attempt(driver, by_id)
    if not (driver.state in _FAILED or (pod.waits and not begun)):
        return None
    step = _made(driver, "failed" if driver.state in _FAILED else "pending")
    _explain(step, pod)
    return step


def last_attempt(node: Node, by_id: dict[str, Node]) -> Node:
    """The pod of a node: its own, or that of the newest attempt."""
    attempts = [child for child in _children(node, by_id) if child.pod and _ATTEMPT.fullmatch(child.name)]
    return attempts[-1] if attempts and not node.pod else node


def waiting(nodes: list[Node]) -> str:
    """Why the run itself waits: the pods of what is no step, such as the driver of the whole run."""
    tasks = re.compile(rf"{_TASK.pattern}(\(\d+\))?|executor.*")
    return next((node.message for node in nodes if node.waits and not tasks.fullmatch(node.name)), "")


def _children(node: Node, by_id: dict[str, Node]) -> Iterator[Node]:
    return (by_id[child] for child in node.children if child in by_id)


def _below(node: Node, by_id: dict[str, Node], *until: str) -> Iterator[Node]:
    """All that comes after a round's node, up to what waits for the whole loop."""
    seen, waiting = set(), [node]
    while waiting:
        for child in _children(waiting.pop(), by_id):
            if child.id not in seen and not child.name.startswith(until):
                seen.add(child.id)
                waiting.append(child)
                yield child
