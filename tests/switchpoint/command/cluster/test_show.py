"""Runs that were started before: found by the start of their id, shown, waited for, listed with what they came to."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from switchpoint.command.cli import listing
from switchpoint.command.cluster import client as cluster
from switchpoint.command.cluster import steps as cluster_steps
from tests.kfp_server import Server
from tests.kfp_workflows import manifest, pod, tasks
from tests.switchpoint.command.cluster.cases import ENDED, EPOCHS, REPORT, SEEDED, Submit, begin, call, ended, publish


@pytest.fixture
def ran(server: Server, submit: Submit, gcs: Any) -> str:
    """The id of a run that succeeded and whose report is in the bucket."""
    server.play = lambda run: ENDED
    submit("--pipeline-root", gcs.uri("root"))
    server.runs[0].state = "SUCCEEDED"
    publish(gcs, server.runs[0])
    return str(server.runs[0].run_id)


def test_a_run_is_shown_as_its_end_was(server: Server, ran: str) -> None:
    result = call("show", ran, "--host", server.host)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0] == f"Run {ran}: sample efficientnet_lite0 1,2,4"
    assert "prepare        done in 75 s" in result.output and "finetune 4     done in 75 s" in result.output
    assert "epoch 2, chosen" in result.output and "79.0%" in result.output
    assert "Switch after epoch 2." in result.output and "/report/0b5e1f9c/page" in result.output


def test_the_json_has_steps_and_results(server: Server, ran: str) -> None:
    document = json.loads(call("show", ran, "--host", server.host, "--json").stdout)
    assert document["id"] == ran and document["best"]["switch_epoch"] == 2
    assert {step["state"] for step in document["steps"]} == {"ran"}


def test_the_start_of_an_id_will_do(server: Server, ran: str) -> None:
    for command in ("show", "rerun"):
        assert call(command, ran[:7], "--host", server.host).exit_code == 0
    wrong = call("show", "zz", "--host", server.host)
    assert wrong.exit_code == 1 and f"There is no run zz at {server.host}. The newest: " in wrong.output
    several = call("show", "", "--host", server.host)
    assert several.exit_code == 2 and "give the id of a run, or its start" in several.output
    first, second = (run.run_id for run in server.runs)
    server.runs[1].run_id = first[:3] + second[3:]
    assert "2 runs begin with" in call("show", first[:3], "--host", server.host).output


def test_ctrl_c_says_how_to_wait_again_and_that_works(
    server: Server, submit: Submit, ran: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    server.play = lambda run: [("RUNNING", tasks(EPOCHS, prepare="RUNNING")), *ENDED]
    with monkeypatch.context() as patch:
        patch.setattr(cluster.time, "sleep", interrupt)
        stopped = submit("--wait").output.splitlines()[-1]
    run_id = server.runs[1].run_id
    assert stopped == f"To wait again: switchpoint show {run_id} --host {server.host} --wait"
    again = call(*stopped.removeprefix("To wait again: switchpoint ").split())
    assert again.exit_code == 0, again.output
    assert "report         done in 75 s" in again.output


def test_a_run_that_goes_on_is_said_to(server: Server, submit: Submit) -> None:
    server.play = lambda run: [("RUNNING", tasks(EPOCHS, prepare="SUCCEEDED", transfer="RUNNING"))]
    submit()
    shown = call("show", server.runs[0].run_id, "--host", server.host)
    assert shown.exit_code == 0
    assert "transfer       running" in shown.output and "The run is running. Stay with it: add --wait." in shown.output


@pytest.mark.parametrize("wait", [(), ("--wait",)])
def test_a_run_that_failed_says_why_again(server: Server, submit: Submit, wait: tuple[str, ...]) -> None:
    server.play = lambda run: [("FAILED", tasks(EPOCHS, prepare="FAILED", transfer="OMITTED"))]
    submit()
    server.logs[pod("prepare")] = "Traceback (most recent call last):\nswitchpoint.errors.DatasetError: No photos.\n"
    shown = call("show", server.runs[0].run_id, "--host", server.host, *wait)
    assert "prepare failed: No photos." in shown.output and "(Prepare the photos, tab Logs)" in shown.output
    assert shown.exit_code == (1 if wait else 0)  # only who waits asks whether it succeeded


def test_runs_are_listed_with_what_they_came_to(server: Server, submit: Submit, ran: str, gcs: Any) -> None:
    submit("--seed", "9")  # no root that is known
    submit("--pipeline-root", gcs.uri("root"))  # all cached: its report is the first one's
    submit("--pipeline-root", gcs.uri("elsewhere"), "--seed", "8")  # nothing there
    for run in server.runs:
        run.state = "SUCCEEDED"
        begin(gcs, run)
    listed = {run["id"]: run.get("best") for run in json.loads(call("runs", "--host", server.host, "--json").output)}
    own, unknown, cached, empty = (run.run_id for run in server.runs)
    assert listed[own] == listed[cached] == REPORT["best"]
    assert listed[unknown] is None and listed[empty] is None
    assert call("runs", "--host", server.host).output.count("epoch 2: 79.0%") == 2


def test_a_lost_a_broken_and_a_refused_report_leave_the_others_theirs(
    server: Server, submit: Submit, ran: str, gcs: Any
) -> None:
    """They are the newest, and read first."""
    for seed in range(3):
        submit("--pipeline-root", gcs.uri("root"), "--seed", str(seed))
    broken, refused, lost = server.runs[1:]
    for run in server.runs[1:]:
        run.state = "SUCCEEDED"
        server.outputs[run.run_id] = [f"{publish(gcs, run)}/results"]
    server.outputs[lost.run_id] = [gcs.uri(f"root/switchpoint/{lost.run_id}/report/1/results")]
    gcs.put(f"root/switchpoint/{broken.run_id}/report/0b5e1f9c/results", b"{half")
    gcs.fail(403, f"GET .*{refused.run_id}", times=100)
    listed = {run["id"]: run.get("best") for run in json.loads(call("runs", "--host", server.host, "--json").output)}
    assert [run for run, best in listed.items() if best] == [ran] and len(listed) == 4


def test_a_place_that_can_not_be_reached_is_given_up_after_two(
    server: Server, submit: Submit, ran: str, gcs: Any
) -> None:
    for seed in range(5):
        submit("--pipeline-root", gcs.uri("root"), "--seed", str(seed))
    for run in server.runs:
        run.state = "SUCCEEDED"
    gcs.fail(403, times=100, message="me@example.com does not have storage.objects.list access to the bucket.")
    result = call("runs", "--host", server.host)
    assert result.exit_code == 0 and result.output.count("succeeded") == 6
    assert sum("/o?" in request for request in gcs.requests) == 2


@pytest.mark.parametrize("width", [12, 40, 60, 79, 80, 120])
@pytest.mark.parametrize("run", ["20261124-101502-3f9a", "0b5e1f9c-77aa-4c2b-9d10-8e6f5a4b3c2d"])
def test_an_id_is_whole_at_any_width(run: str, width: int) -> None:
    """A terminal breaks a line that is too long for it and copies it whole; a table's cell is cut."""
    output = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    parameters = {"dataset": "gs://bucket/photos of food/food-101", "switch_epochs": [1, 2, 4, 8, 14]}
    document: Any = {"id": run, "state": "succeeded", "parameters": parameters, "results": []}
    listing.print_runs(output, [document])
    text = output.file.getvalue()  # type: ignore[attr-defined]
    assert run in text
    assert "".join(parameters["dataset"].split()) in "".join(text.split()) or width >= 60


def test_steps_of_the_whole_pipeline_have_a_place_in_the_ui() -> None:
    from switchpoint.command.cli.following import place
    from switchpoint.command.runs.steps import rounds

    seeds = [3, 1]
    parameters = {"switch_epochs": EPOCHS, "finetune_learning_rate": [0.0003], "seeds": seeds}
    found = cluster_steps.steps(
        cluster_steps.of_workflow(manifest(tasks(EPOCHS, seeds=seeds, **ended(*seeds)))), rounds(parameters), seeds
    )
    places = [place(step, parameters) for step in found if step["name"] != "digest"]
    assert len(set(places)) == len(places) == 2 + 2 * len(SEEDED)
    assert places[-2:] == ["for each seed, OPEN SUB-DAG, for-loop-1.0, OPEN SUB-DAG, Collect", "Report"]
    inner = "for each candidate, OPEN SUB-DAG, for-loop-2.2, Fine-tune"
    assert f"for each seed, OPEN SUB-DAG, for-loop-1.1, OPEN SUB-DAG, {inner}" in places
