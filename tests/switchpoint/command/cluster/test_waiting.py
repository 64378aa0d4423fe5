"""What a person is told while a run waits, and when it has failed or was canceled."""

import json
from typing import Any

import pytest

from switchpoint.command.cluster import client as cluster
from tests.kfp_server import Server
from tests.kfp_workflows import QUOTA, UNSCHEDULABLE, pod, tasks
from tests.switchpoint.command.cluster.cases import EPOCHS, Submit

# The end of a step's log as a pod of Kubeflow Pipelines 2.17 has it.
LOG = """\
[KFP Executor 2026-11-24 12:00:01,000 INFO]: Looking for component `finetune` in --component_module_path `x.py`
finetune 2: epoch 1/10, loss 0.532, 12 s left
Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "/app/components/finetune/step.py", line 12, in finetune
switchpoint.errors.CheckpointNotFoundError: No checkpoint for epoch 2 in /tmp/checkpoints. Saved epochs: [1].
I1124 12:00:02.000001       1 launcher_v2.go:192] publish success.
F1124 12:00:02.000002       1 main.go:59] failed to execute component: exit status 1
time="2026-11-24T12:00:03.000Z" level=info msg="sub-process exited" argo=true error="<nil>"
Error: exit status 1
"""
BEGUN = {"prepare": "SUCCEEDED", "transfer": "SUCCEEDED"}


def lines(output: str) -> list[str]:
    """What comes after the run's name and address."""
    return [" ".join(line.split()) for line in output.splitlines()[2:]]


@pytest.mark.parametrize("attempts", [0, 1, 2], ids=["no retries", "first attempt", "second attempt"])
@pytest.mark.parametrize("message", [UNSCHEDULABLE, QUOTA])
def test_a_pod_that_can_not_start_says_why_once(server: Server, submit: Submit, message: str, attempts: int) -> None:
    waits = tasks(EPOCHS, prepare="SUCCEEDED", transfer="PENDING", messages={"transfer": message}, attempts=attempts)
    server.play = lambda run: [("RUNNING", waits), ("RUNNING", waits), ("FAILED", [])]
    said = lines(submit("--wait").output)
    assert said[:2] == ["prepare done in 75 s", f"transfer waiting: {message}"]
    assert sum("waiting" in line for line in said) == 1


def test_a_pod_that_is_about_to_start_does_not_wait(server: Server, submit: Submit) -> None:
    starts = tasks(EPOCHS, prepare="PENDING", messages={"prepare": "PodInitializing"})
    server.play = lambda run: [("RUNNING", starts), ("FAILED", [])]
    assert lines(submit("--wait").output)[0] == "prepare running"


def test_another_reason_is_told_anew(server: Server, submit: Submit) -> None:
    server.play = lambda run: [
        *(("RUNNING", tasks(EPOCHS, prepare="PENDING", messages={"prepare": said})) for said in (QUOTA, UNSCHEDULABLE)),
        ("RUNNING", tasks(EPOCHS, prepare="RUNNING")),
        ("FAILED", []),
    ]
    said = lines(submit("--wait").output)
    assert said[:3] == [f"prepare waiting: {QUOTA}", f"prepare waiting: {UNSCHEDULABLE}", "prepare running"]


def test_the_pod_before_a_step_waits_too(server: Server, submit: Submit) -> None:
    driver = tasks(EPOCHS, **BEGUN, finetune_2="DRIVER", messages={"finetune_2": UNSCHEDULABLE})
    (whole,) = (node for node in tasks(EPOCHS, prepare="DRIVER", messages={"prepare": QUOTA}))
    whole.display_name = "root-driver"
    server.play = lambda run: [("RUNNING", [whole]), ("RUNNING", driver), ("FAILED", [])]
    said = lines(submit("--wait").output)
    assert said[0] == f"run waiting: {QUOTA}"
    assert f"finetune 2 waiting: {UNSCHEDULABLE}" in said


def failed(message: str = "Error (exit code 1)", attempts: int = 0) -> list[Any]:
    states = BEGUN | {"evaluate": "SUCCEEDED", "finetune_2": "FAILED", "evaluate_2": "OMITTED", "report": "OMITTED"}
    return tasks(EPOCHS, **states, messages={"finetune_2": message}, attempts=attempts)


@pytest.mark.parametrize("is_ui", [False, True], ids=["ml-pipeline", "ml-pipeline-ui"])
@pytest.mark.parametrize("attempts", [0, 2])
def test_a_step_that_failed_says_its_own_error_as_on_a_laptop(
    server: Server, submit: Submit, attempts: int, is_ui: bool
) -> None:
    server.is_ui = is_ui
    server.logs[pod("finetune_2", attempts - 1 if attempts else None)] = LOG
    server.play = lambda run: [("RUNNING", []), ("FAILED", failed(attempts=attempts))]
    result = submit("--wait")
    assert result.exit_code == 1
    assert result.output.splitlines()[-2:] == [
        "Error: finetune 2 failed: No checkpoint for epoch 2 in /tmp/checkpoints. Saved epochs: [1].",
        f"Its log: {server.host}/#/runs/details/{server.runs[0].run_id} "
        "(for each seed, OPEN SUB-DAG, for-loop-1.0, OPEN SUB-DAG, for each candidate, OPEN SUB-DAG, for-loop-2.1, "
        "Fine-tune, tab Logs)",
    ]
    assert "pending" not in result.output and "skipped" not in result.output


def test_the_json_has_the_error_and_what_was_omitted_is_skipped(server: Server, submit: Submit) -> None:
    server.logs[pod("finetune_2")] = LOG
    server.play = lambda run: [("FAILED", failed())]
    steps = {
        (step["name"], step["switch_epoch"]): step for step in json.loads(submit("--wait", "--json").stdout)["steps"]
    }
    assert steps["finetune", 2]["error"].startswith("No checkpoint for epoch 2")
    assert steps["evaluate", 2]["state"] == steps["report", None]["state"] == "skipped"


def test_where_no_log_is_left_argo_says_what_it_knows(server: Server, submit: Submit) -> None:
    server.play = lambda run: [("FAILED", failed("OOMKilled (exit code 137)"))]
    assert "finetune 2 failed: OOMKilled (exit code 137)\n" in submit("--wait").output


def test_a_step_that_was_killed_shows_its_last_lines_too(server: Server, submit: Submit) -> None:
    server.logs[pod("finetune_2")] = "finetune 2: epoch 3/10, loss 0.5\n"
    server.play = lambda run: [("FAILED", failed("OOMKilled (exit code 137)"))]
    said = "finetune 2 failed: OOMKilled (exit code 137)\nfinetune 2: epoch 3/10, loss 0.5\n"
    assert said in submit("--wait").output


def test_a_step_whose_driver_failed_has_failed(server: Server, submit: Submit) -> None:
    last = tasks(EPOCHS, **BEGUN, finetune_2="DRIVER_FAILED", messages={"finetune_2": "Error (exit code 1)"})
    server.play = lambda run: [("FAILED", last)]
    assert "finetune 2 failed: Error (exit code 1)" in submit("--wait").output


def test_a_run_that_failed_before_any_step_says_what_the_api_says(server: Server, submit: Submit) -> None:
    server.play = lambda run: [("FAILED", [])]
    result = submit("--wait")
    assert result.exit_code == 1 and "The run failed: a step failed: http" in result.output


@pytest.mark.parametrize("last", ["FAILED", "CANCELED"])
def test_a_run_that_was_canceled_is_not_said_to_have_failed(server: Server, submit: Submit, last: str) -> None:
    ended = tasks(EPOCHS, **BEGUN, finetune_2="FAILED")
    server.play = lambda run: [("RUNNING", []), ("CANCELING", []), (last, ended)]
    result = submit("--wait")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: The run was canceled: http")
    assert lines(result.output)[2] == "finetune 2 canceled"
    assert "failed" not in result.output


def test_a_run_that_was_canceled_and_then_retried_may_fail(server: Server, submit: Submit) -> None:
    server.play = lambda run: [(each, failed()) for each in ("RUNNING", "CANCELING", "FAILED")]
    submit("--wait")
    (run,) = server.runs
    assert cluster.state(run) == "canceled"
    server.plays[run.run_id] = [("RUNNING", []), ("FAILED", failed())]
    for _ in range(2):
        run = cluster.Cluster(host=server.host).run(run.run_id)
    assert cluster.state(run) == "failed"
