import base64
import datetime
import gzip
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from click.testing import CliRunner, Result

from switchpoint.command import parameters
from switchpoint.command.cli.main import main
from switchpoint.command.cluster import client as cluster
from switchpoint.command.cluster import connection
from switchpoint.command.cluster import rerun as cluster_rerun
from switchpoint.command.cluster import steps as cluster_steps
from switchpoint.command.errors import ClusterError
from switchpoint.errors import ParameterError
from switchpoint.provenance import digests as identity
from tests.kfp_server import Server, tasks, workflow_nodes

EPOCHS = [1, 2, 4]
DEMO = ("--recipe", "demo")  # drawn dishes, switch epochs 1, 2, 4
STEPS = {
    "prepare": "SUCCEEDED", "transfer": "SUCCEEDED", "evaluate": "SUCCEEDED",
    **{f"{name}_{epoch}": "SUCCEEDED" for epoch in EPOCHS for name in ("finetune", "evaluate")},
    "report": "SUCCEEDED",
}  # fmt: skip
ENDED = [("SUCCEEDED", tasks(EPOCHS, **STEPS))]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting, and none of the user's own kfp or kubectl settings."""
    from kfp.client import Client

    monkeypatch.setattr(cluster, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(cluster, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(connection, "READ", 15)  # a loaded machine may stand still for seconds
    monkeypatch.setattr(connection, "RETRIES", urllib3.Retry(connect=0, read=0, redirect=5))
    monkeypatch.setattr(Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    for name in ("KF_PIPELINES_ENDPOINT", "KF_PIPELINES_UI_ENDPOINT", identity.REGISTRY, identity.DEVICE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture
def submit(server: Server) -> Callable[..., Result]:
    def submit(*arguments: str) -> Result:
        return call("submit", *DEMO, "--host", server.host, *arguments)

    return submit


Submit = Callable[..., Result]


def test_a_run_has_every_parameter_a_readable_name_and_an_address(server: Server, submit: Submit) -> None:
    result = submit("--switch-epochs", "4,1,2", "--pipeline-root", "gs://artifacts/root")
    assert result.exit_code == 0, result.output
    (run,) = server.runs
    assert f"{server.host}/#/runs/details/{run.run_id}" in result.output
    assert run.display_name == "sample efficientnet_lite0 1,2,4"
    assert "Profile cpu" in run.description and "from each of 1, 2, 4" in run.description
    assert run.runtime_config.pipeline_root == "gs://artifacts/root"
    assert run.runtime_config.parameters.keys() == parameters.parameters().keys()
    assert run.runtime_config.parameters["switch_epochs"] == [1, 2, 4]
    assert len(run.runtime_config.parameters["dataset_digest"]) == 64
    assert run.pipeline_spec is None and run.pipeline_version_reference.pipeline_id == server.pipelines[0].pipeline_id


def test_caching_is_left_as_the_pipeline_has_it(server: Server, submit: Submit) -> None:
    submit()
    spec = yaml.safe_load(server.packages[0].split("\n---\n")[0])
    loop = spec["components"]["comp-for-loop-1"]["dag"]["tasks"]
    assert all(task["cachingOptions"] == {"enableCache": True} for task in loop.values())


def test_two_submits_make_one_pipeline_and_one_version(server: Server, submit: Submit) -> None:
    submit()
    submit("--seed", "7")
    assert [len(things) for things in (server.pipelines, server.versions, server.runs)] == [1, 1, 2]
    assert len({run.pipeline_version_reference.pipeline_version_id for run in server.runs}) == 1
    assert len(server.experiments) == 1


def test_another_profile_is_another_version_of_the_same_pipeline(server: Server, submit: Submit) -> None:
    submit()
    submit("--profile", "gke-l4", "--registry", "registry.example/team")
    assert len(server.pipelines) == 1
    assert [version.name.rpartition("-")[0] for version in server.versions] == ["cpu", "gke-l4"]
    assert server.versions[1].tags["profile"] == "gke-l4"
    assert "registry.example/team/switchpoint-python-transfer:gpu-" in server.packages[1]


@pytest.mark.parametrize("what", ["pipelines", "versions"])
def test_who_loses_a_race_uses_what_the_winner_made(
    server: Server, submit: Submit, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    assert submit().exit_code == 0
    method = {"pipelines": "list_pipelines", "versions": "list_pipeline_versions"}[what]
    original = getattr(connection.kfp_client.Client, method)
    empty = iter([type("Empty", (), {"pipelines": None, "pipeline_versions": None})()])
    monkeypatch.setattr(connection._Client, method, lambda *a, **k: next(empty, None) or original(*a, **k))
    assert submit().exit_code == 0
    assert [len(server.pipelines), len(server.versions), len(server.runs)] == [1, 1, 2]


def test_wrong_parameters_reach_no_server(server: Server, submit: Submit) -> None:
    result = submit("--switch-epochs", "9", "--dropout", "2")
    assert result.exit_code == 2
    assert "switch_epochs has 9" in result.output and "dropout=2.0" in result.output
    assert submit("--unheard-of", "1").exit_code == 2
    with pytest.raises(ParameterError, match="Unknown parameters: unheard_of"):
        parameters.resolve("demo", {"unheard_of": 1})
    assert not server.requests


def test_a_folder_of_this_machine_is_refused_with_the_command_that_uploads_it(
    server: Server, submit: Submit, folder: Callable[..., Path]
) -> None:
    photos = folder(cats=3, dogs=3)
    result = submit("--dataset", str(photos), "--pipeline-root", "gs://artifacts/root")
    assert result.exit_code == 2
    assert f"switchpoint upload {photos} gs://artifacts/datasets/photos" in result.output
    assert "--dataset gs://artifacts/datasets/photos" in result.output
    weights = photos / "weights.h5"
    weights.touch()
    result = submit("--weights", str(weights))
    assert f"switchpoint upload {weights} gs://BUCKET/weights/weights.h5" in result.output
    assert "does not exist" in submit("--dataset", "nowhere").output
    assert not server.requests


def test_the_login_is_sent(server: Server, submit: Submit, tmp_path: Path) -> None:
    def sent(name: str) -> set[str | None]:
        found = {headers.get(name) for _, _, headers in server.requests}
        server.requests.clear()
        return found

    submit("--token", "abc")
    assert sent("authorization") == {"Bearer abc"}
    (tmp_path / "token").write_text("def\n")
    submit("--token-file", str(tmp_path / "token"))
    assert sent("authorization") == {"Bearer def"}
    submit("--cookies", "authservice_session=xyz")
    assert sent("Cookie") == {"authservice_session=xyz"}
    assert submit("--token-file", str(tmp_path / "none")).exit_code == 2


def test_a_multi_user_kubeflow_asks_for_the_namespace(server: Server, submit: Submit) -> None:
    server.multi_user = True
    assert "--namespace" in submit().output
    assert not server.runs
    assert submit("--namespace", "team-a").exit_code == 0
    assert server.pipelines[0].namespace == server.experiments[0].namespace == "team-a"


def test_the_service_account_is_the_runs(server: Server, submit: Submit) -> None:
    submit("--service-account", "switchpoint-runner")
    assert server.runs[0].service_account == "switchpoint-runner"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("healthz", 401, "pass --token"),
        ("healthz", 404, "Its address ends where /apis/v2beta1 begins"),
        ("pipelines", 403, "You may not do that. Check --namespace"),
        ("experiments", 500, "Can't open the experiment 'switchpoint' at .*it answers 500 the server says 500"),
        ("upload_version", 500, "Can't upload the pipeline at .*it answers 500 the server says 500"),
        ("runs", 400, "Can't start the run at .*does not accept what was sent.* It said: the server says 400"),
        ("runs", 404, "Can't start the run at .*There is no such thing"),
        ("runs", 409, "Can't start the run at .*there already"),
        ("runs", 503, "Can't start the run at .*may have been started all the same"),
    ],
)
def test_a_refusal_says_what_where_and_what_to_do(
    server: Server, submit: Submit, path: str, status: int, said: str
) -> None:
    import re

    server.fault("GET" if path in ("healthz", "pipelines") else "POST", path + "$", status)
    result = submit()
    assert result.exit_code == 1
    assert re.search(said, result.output), result.output
    assert server.host in result.output
    assert not server.runs


def test_a_login_that_is_refused_is_not_asked_for_again(server: Server, submit: Submit) -> None:
    server.fault("GET", "healthz", 401)
    assert "the token or cookie has expired" in submit("--token", "old").output


def test_a_login_page_is_no_answer(server: Server, submit: Submit) -> None:
    server.fault("GET", "healthz", "<!doctype html><title>Sign in</title>")
    result = submit()
    assert result.exit_code == 1 and "most likely a login page" in result.output


def test_a_server_that_hangs_or_is_not_there_ends_the_command(
    server: Server, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "READ", 1)
    server.fault("POST", "runs$", 3.0)
    result = submit()
    assert result.exit_code == 1
    assert "does not answer" in result.output and "may have been started all the same" in result.output
    result = call("submit", *DEMO, "--host", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "http://127.0.0.1:9 does not answer" in result.output and "port-forward" in result.output


def test_waiting_shows_each_change_once(server: Server, submit: Submit) -> None:
    begun = {"prepare": "SUCCEEDED", "transfer": "RUNNING"}
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
    assert lines[:4] == ["prepare cached", "transfer running", "transfer done in 75 s", "finetune 4 running"]
    assert sorted(lines[4:12]) == sorted(
        f"{step} {'cached' if step in ('finetune 1', 'evaluate 1') else 'done in 75 s'}"
        for step in (
            "evaluate",
            *(f"{name} {epoch}" for epoch in EPOCHS for name in ("finetune", "evaluate")),
            "report",
        )
    )
    assert "where the cluster is set to keep them" in lines[12] and "tab Visualization" in lines[12]


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_a_run_that_does_not_succeed_ends_the_command_with_1(server: Server, submit: Submit, state: str) -> None:
    last = tasks(
        EPOCHS, prepare="SUCCEEDED", transfer="SUCCEEDED", finetune_2="FAILED" if state == "FAILED" else "RUNNING"
    )
    server.play = lambda run: [("RUNNING", []), (state, last)]
    result = submit("--wait")
    assert result.exit_code == 1
    assert f"The run {state.lower()}" in result.output
    assert ("in finetune 2: a step failed" in result.output) == (state == "FAILED")
    assert f"/#/runs/details/{server.runs[0].run_id}" in result.output


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
    assert [(step["name"], step["switch_epoch"], step["state"]) for step in document["steps"]][:3] == [
        ("prepare", None, "ran"), ("transfer", None, "ran"), ("evaluate", None, "ran"),
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
    assert {step["name"] for step in steps} == set(identity.STEPS)
    assert {step["switch_epoch"] for step in steps} == {None}


def test_steps_of_unlinked_tasks_are_still_named() -> None:
    unlinked = cluster_steps.of_tasks(tasks(EPOCHS, cached=("prepare", "finetune_2"), **STEPS))
    found = cluster_steps.steps(unlinked, EPOCHS)
    assert [step["state"] for step in found if step["name"] == "prepare"] == ["cached"]
    finetunes = [step for step in found if step["name"] == "finetune"]
    assert [step["switch_epoch"] for step in finetunes] == [None] * 3
    assert sorted(step["state"] for step in finetunes) == ["cached", "ran", "ran"]


def test_rounds_go_by_the_runs_own_order() -> None:
    epochs = [4, 1, 2]
    found = cluster_steps.steps(nodes(epochs, finetune_4="RUNNING", finetune_2="FAILED"), epochs)
    assert {step["switch_epoch"]: step["state"] for step in found} == {4: "running", 2: "failed"}


REPORT = {
    "results": [
        {"switch_epoch": None, "best_epoch": 6, "validation_accuracy": 0.7, "test_accuracy": 0.69, "test_loss": 1.0,
         "diverged": False, "seconds": 60.0, "model_digest": "a"},
        {"switch_epoch": 2, "best_epoch": 3, "validation_accuracy": 0.8, "test_accuracy": 0.79, "test_loss": 0.7,
         "diverged": False, "seconds": 90.0, "model_digest": "b"},
    ],
    "best": {"switch_epoch": 2, "model_digest": "b"},
    "conclusion": "Switch after epoch 2.",
}  # fmt: skip


def publish(gcs: Any, run: Any, root: str = "root") -> str:
    base = f"{root}/switchpoint/{run.run_id}/report/0b5e1f9c"
    gcs.put(f"{base}/results", json.dumps(REPORT).encode())
    gcs.put(f"{base}/page", b"<html></html>")
    return f"gs://{gcs.bucket}/{base}"


def test_waiting_ends_with_the_report_from_the_bucket(server: Server, submit: Submit, gcs: Any) -> None:
    def play(run: Any) -> list[Any]:
        publish(gcs, run)
        return ENDED

    server.play = play
    result = submit("--wait", "--pipeline-root", gcs.uri("root"))
    assert result.exit_code == 0, result.output
    assert "79.0%" in result.output and "Switch after epoch 2." in result.output
    run = server.runs[0].run_id
    assert f"Report: {gcs.uri('root')}/switchpoint/{run}/report/0b5e1f9c/page" in result.output


def test_a_cached_report_is_read_from_the_equal_run_that_made_it(server: Server, submit: Submit, gcs: Any) -> None:
    server.play = lambda run: [*ENDED]
    root = ("--pipeline-root", gcs.uri("root"))
    submit(*root)
    submit(*root, "--seed", "9")
    for run in server.runs:
        run.state = "SUCCEEDED"
    base = publish(gcs, server.runs[0])
    publish(gcs, server.runs[1])
    result = submit(*root, "--wait")
    assert f"Report: {base}/page" in result.output, result.output


def test_a_report_that_is_not_to_be_had_is_said(server: Server, submit: Submit, gcs: Any) -> None:
    server.play = lambda run: ENDED
    result = submit("--wait", "--pipeline-root", gcs.uri("root"))
    assert result.exit_code == 0 and "The report is not below" in result.output and "tab Visualization" in result.output
    gcs.fail(403, times=100, message="me@example.com does not have storage.objects.list access to the bucket.")
    result = submit("--wait", "--pipeline-root", gcs.uri("root"))
    assert result.exit_code == 0 and "permission storage.objects.list" in result.output, result.output


def test_a_rerun_differs_in_what_was_asked_and_nothing_else(server: Server, submit: Submit) -> None:
    submit(
        "--pipeline-root", "gs://artifacts/root", "--service-account", "runner", "--seed", "7", "--experiment", "food"
    )
    first = server.runs[0]
    result = call("rerun", first.run_id, "--host", server.host, "--switch-epochs", "1,2,4,6")
    assert result.exit_code == 0, result.output
    second = server.runs[1]
    assert len(server.versions) == 1
    assert second.pipeline_version_reference == first.pipeline_version_reference
    assert second.experiment_id == first.experiment_id and second.service_account == "runner"
    assert second.runtime_config.pipeline_root == "gs://artifacts/root"
    assert second.runtime_config.parameters == first.runtime_config.parameters | {"switch_epochs": [1, 2, 4, 6]}
    assert second.display_name == "sample efficientnet_lite0 1,2,4,6"


def test_a_rerun_of_a_run_cloned_in_the_ui(server: Server, submit: Submit) -> None:
    submit()
    cloned = server.runs[0]
    cloned.runtime_config.parameters = {"switch_epochs": "[4, 2]", "dataset": "sample", "transfer_epochs": 6.0}
    result = call("rerun", cloned.run_id, "--host", server.host, "--seed", "3")
    assert result.exit_code == 0, result.output
    values = server.runs[1].runtime_config.parameters
    assert values["switch_epochs"] == [2, 4] and values["seed"] == 3 and values["batch_size"] == 32
    assert values["dataset_digest"] == ""


def test_a_rerun_takes_new_digests_for_what_is_new(server: Server, submit: Submit) -> None:
    submit()
    call("rerun", server.runs[0].run_id, "--host", server.host, "--backbone", "efficientnet_b0")
    first, second = (run.runtime_config.parameters for run in server.runs)
    assert first["dataset_digest"] == second["dataset_digest"]
    assert first["weights_digest"] != second["weights_digest"]


def test_a_rerun_with_other_code_says_which_steps_would_run_again(
    server: Server, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit("--profile", "gke-l4", "--registry", "registry.example")
    original = identity.code_digest

    def edited(step: str, device: str = "cpu") -> str:
        return "0" * 64 if step == "finetune" else original(step, device)

    monkeypatch.setattr(identity, "code_digest", edited)
    monkeypatch.setattr(cluster_rerun, "code_digest", edited)
    again = ("rerun", server.runs[0].run_id, "--host", server.host)
    result = call(*again, "--seed", "3")
    assert result.exit_code == 1 and len(server.runs) == 1
    assert "The code of finetune is not what run" in result.output
    assert "would run again, for every switch epoch: finetune, evaluate, report." in result.output
    assert call(*again, "--allow-code-change").exit_code == 0
    assert [version.tags["profile"] for version in server.versions] == ["gke-l4", "gke-l4"]
    assert "registry.example/switchpoint-python-finetune:gpu-0000000000000000" in server.packages[1]
    assert len(server.pipelines) == 1


def test_a_rerun_on_other_nodes_is_another_version(server: Server, submit: Submit) -> None:
    submit("--profile", "gke-l4")
    result = call("rerun", server.runs[0].run_id, "--host", server.host, "--profile", "gke-a100-spot")
    assert result.exit_code == 0, result.output
    images = [set(cluster_rerun._IMAGE.findall(package)) for package in server.packages]
    assert images[0] == images[1] and len(server.versions) == 2


def test_states_of_trainings_lie_below_the_root_and_stay_there_in_a_rerun(server: Server, submit: Submit) -> None:
    submit("--pipeline-root", "gs://bucket/runs")
    result = call("rerun", server.runs[0].run_id, "--host", server.host, "--profile", "gke-l4")
    assert result.exit_code == 0, result.output
    submit("--pipeline-root", "gs://bucket/runs", "--resume", "gs://other/states")
    submit()
    places = ["gs://bucket/runs/resume", "gs://bucket/runs/resume", "gs://other/states", None]
    assert [cluster_rerun._resume(next(yaml.safe_load_all(package))) for package in server.packages] == places


def test_a_run_that_is_not_there_and_options_without_a_host(server: Server) -> None:
    result = call("rerun", "nothing", "--host", server.host)
    assert result.exit_code == 1 and "There is no run nothing" in result.output
    assert "--host" in call("rerun", "--host", server.host).output
    assert "--wait goes with --host" in call("rerun", "--wait").output


def test_runs_come_newest_first_and_are_ours(server: Server, submit: Submit) -> None:
    submit()
    submit("--switch-epochs", "1,3")
    server.runs[0].state = "FAILED"
    other = type(server.runs[0])(
        run_id="other", state="SUCCEEDED", created_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    )
    server.runs.append(other)
    listed = json.loads(call("runs", "--host", server.host, "--json").output)
    assert [(run["state"], run["parameters"]["switch_epochs"]) for run in listed] == [
        ("pending", [1, 3]), ("failed", [1, 2, 4]),
    ]  # fmt: skip
    table = call("runs", "--host", server.host).output
    assert "pending" in table and "1, 3" in table


def test_kfps_own_talk_is_not_ours(server: Server, submit: Submit, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        output = submit().output
    assert "details:" not in output and not caplog.records


def test_parameters_are_what_the_compiled_pipeline_takes(server: Server, submit: Submit) -> None:
    submit()
    spec = server.versions[0].pipeline_spec["pipeline_spec"]
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    assert inputs.keys() == parameters.parameters().keys()
    for name, parameter in parameters.parameters().items():
        assert inputs[name]["defaultValue"] == parameter.default
        assert " ".join(inputs[name]["description"].split()) == parameter.help


def test_the_errors_of_this_module_are_the_users(server: Server) -> None:
    with pytest.raises(ClusterError, match="does not answer"):
        cluster.Cluster(host="http://127.0.0.1:9")


def test_more_switch_epochs_than_an_argument_holds_are_refused(server: Server, submit: Submit) -> None:
    epochs = ",".join(map(str, range(1, 42)))
    result = submit("--switch-epochs", epochs, "--transfer-epochs", "50")
    assert result.exit_code == 2 and "switch_epochs has 41 epochs" in result.output
    assert not server.sent("POST", "runs")
