"""Following a run: its steps as they go, its end, its report."""

import base64
import gzip
import json
from typing import Any

import pytest

from switchpoint.command.cluster import client as cluster
from switchpoint.command.cluster import connection
from switchpoint.command.cluster import steps as cluster_steps
from switchpoint.provenance import digests as identity
from tests.kfp_server import Server
from tests.kfp_workflows import tasks, workflow_nodes
from tests.switchpoint.command.cluster.cases import ENDED, EPOCHS, STEPS, Submit, ended


def test_waiting_shows_each_change_once(server: Server, submit: Submit) -> None:
    begun = {"digest": "SUCCEEDED", "prepare": "SUCCEEDED", "transfer": "RUNNING"}
    server.play = lambda run: [
        ("PENDING", []),
        ("RUNNING", tasks(EPOCHS, cached=("prepare",), **begun)),
        ("RUNNING", tasks(EPOCHS, cached=("prepare",), **begun)),
        ("RUNNING", tasks(EPOCHS, cached=("prepare",), **(begun | {"transfer": "SUCCEEDED", "finetune_4": "RUNNING"}))),
        ("SUCCEEDED", tasks(EPOCHS, cached=("prepare", "finetune_1", "evaluate_1"), **STEPS)),
    ]
    result = submit("--wait")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()[2:]]
    assert lines.pop(0) == "digest done in 75 s"
    assert lines[:4] == ["prepare cached", "transfer running", "transfer done in 75 s", "finetune 4 running"]
    assert sorted(lines[4:13]) == sorted(
        f"{step} {'cached' if step in ('finetune 1', 'evaluate 1') else 'done in 75 s'}"
        for step in (
            "evaluate",
            *(f"{name} {epoch}" for epoch in EPOCHS for name in ("finetune", "evaluate")),
            "collect",
            "report",
        )
    )
    assert "where the cluster is set to keep them" in lines[13] and "artifact `page`, tab Visualization" in lines[13]


def test_passing_faults_while_waiting_are_sat_out(
    server: Server, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.play = lambda run: [("RUNNING", []), ("RUNNING", []), *ENDED]
    server.fault("GET", "runs/[^/]+$", 503, times=3)
    server.fault("GET", "runs/[^/]+$", 2.0, times=1)
    with monkeypatch.context() as patch:
        patch.setattr(connection, "READ", 1)
        assert submit("--wait").exit_code == 0
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    server.fault("GET", "runs/[^/]+$", 503, times=10_000)
    result = submit("--wait")
    assert result.exit_code == 1
    assert "it answers 503" in result.output and "The run itself goes on: http" in result.output


def test_a_login_that_expires_while_waiting_is_said_at_once(server: Server, submit: Submit) -> None:
    server.fault("GET", "runs/[^/]+$", 401, times=1)
    result = submit("--wait", "--token", "short-lived")
    assert result.exit_code == 1 and "has expired" in result.output


def test_waiting_gives_up_when_told(server: Server, submit: Submit) -> None:
    result = submit("--wait", "--timeout", "0.05")
    assert result.exit_code == 1 and "has not ended after 0.05 s and goes on: http" in result.output


def test_json_is_alone_on_stdout(server: Server, submit: Submit) -> None:
    server.play = lambda run: ENDED
    document = json.loads(submit("--wait", "--json").stdout)
    assert document["id"] == server.runs[0].run_id and document["state"] == "succeeded"
    assert [(step["name"], step["switch_epoch"], step["state"]) for step in document["steps"]][:4] == [
        ("digest", None, "ran"), ("prepare", None, "ran"), ("transfer", None, "ran"), ("evaluate", None, "ran"),
    ]  # fmt: skip


def nodes(*arguments: Any, **states: Any) -> list[cluster_steps.Node]:
    return cluster_steps.of_workflow(json.dumps({"status": {"nodes": workflow_nodes(tasks(*arguments, **states))}}))


def test_a_compressed_workflow_is_read() -> None:
    plain = {"nodes": workflow_nodes(tasks(EPOCHS, **STEPS))}
    packed = base64.b64encode(gzip.compress(json.dumps(plain["nodes"]).encode())).decode()
    read = cluster_steps.of_workflow(json.dumps({"status": {"compressedNodes": packed}}))
    assert read == cluster_steps.of_workflow(json.dumps({"status": plain})) != []


def test_where_the_workflow_can_not_be_had_steps_are_still_named(server: Server, submit: Submit) -> None:
    server.play = lambda run: ENDED
    server.fault("GET", "/apis/v1beta1/runs/", 404, times=10_000)
    steps = json.loads(submit("--wait", "--json").stdout)["steps"]
    assert {step["name"] for step in steps} == set(identity.STEPS) - {
        "halve",
        "drift",
        "promote",
    }  # where they are asked for
    assert {step["switch_epoch"] for step in steps} == {None}


def test_steps_of_unlinked_tasks_are_still_named() -> None:
    unlinked = cluster_steps.of_tasks(tasks(EPOCHS, cached=("prepare", "finetune_2"), **STEPS))
    found = cluster_steps.steps(unlinked, at_one_rate(EPOCHS), [1])
    assert [step["state"] for step in found if step["name"] == "prepare"] == ["cached"]
    finetunes = [step for step in found if step["name"] == "finetune"]
    assert [step["switch_epoch"] for step in finetunes] == [None] * 3
    assert sorted(step["state"] for step in finetunes) == ["cached", "ran", "ran"]


def at_one_rate(epochs: list[int]) -> list[tuple[int, float]]:
    return [(epoch, 0.0003) for epoch in epochs]


def test_rounds_go_by_place() -> None:
    """A run made in the UI has its lists in any order: seeds are looped over as they come, candidates ascending."""
    epochs = [1, 2, 4]
    begun = {"transfer": "SUCCEEDED", "finetune_4": "RUNNING", "finetune_2": "FAILED"}
    found = cluster_steps.steps(nodes(epochs, **begun), at_one_rate(epochs), [1])
    assert {step["switch_epoch"]: step["state"] for step in found} == {None: "ran", 4: "running", 2: "failed"}
    cached = ("finetune_4_seed_1", "evaluate")
    seeds = [3, 1]
    found = cluster_steps.steps(nodes(epochs, cached, seeds=seeds, **ended(*seeds)), at_one_rate(epochs), seeds)
    assert [(step["name"], step["seed"], step["switch_epoch"]) for step in found] == [
        ("digest", None, None), ("prepare", None, None),
        *(
            (name, seed, epoch)
            for seed in (1, 3)
            for name, epoch in (
                ("transfer", None), ("evaluate", None),
                *((name, epoch) for epoch in (1, 2, 4) for name in ("finetune", "evaluate")),
                ("collect", None),
            )
        ),
        ("report", None, None),
    ]  # fmt: skip
    taken = {(step["name"], step["seed"], step["switch_epoch"]) for step in found if step["state"] == "cached"}
    assert taken == {("finetune", 1, 4), ("evaluate", 3, None)}


def test_a_step_of_one_of_several_seeds_says_which(server: Server, submit: Submit) -> None:
    begun = {"prepare": "SUCCEEDED", "transfer": "SUCCEEDED", "transfer_seed_7": "RUNNING"}
    failed = begun | {"transfer_seed_7": "SUCCEEDED", "finetune_2_seed_7": "FAILED"}
    server.play = lambda run: [(state, tasks(EPOCHS, seeds=[1, 7], **each)) for state, each in (
        ("RUNNING", begun), ("FAILED", failed)
    )]  # fmt: skip
    said = submit("--wait", "--seeds", "1,7").output
    assert "transfer, seed 1        done in 75 s\ntransfer, seed 7        running\n" in said
    assert "finetune 2, seed 7 failed: " in said and "for-loop-1.1, OPEN SUB-DAG, for each candidate" in said
