"""Submitting: what is sent, to whom, and what is refused before."""

import datetime
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from switchpoint.command import parameters
from switchpoint.command.cluster import client as cluster
from switchpoint.command.cluster import connection
from switchpoint.command.errors import ClusterError
from switchpoint.errors import ParameterError
from tests.kfp_server import Server
from tests.support import tasks_of
from tests.switchpoint.command.cluster.cases import DEMO, Submit, call


def test_a_run_has_every_parameter_a_readable_name_and_an_address(server: Server, submit: Submit) -> None:
    result = submit("--switch-epochs", "4,1,2", "--seeds", "20261127,1", "--pipeline-root", "gs://artifacts/root")
    assert result.exit_code == 0, result.output
    (run,) = server.runs
    assert f"{server.host}/#/runs/details/{run.run_id}" in result.output
    assert run.display_name == "sample efficientnet_lite0 1,2,4 seeds 1,20261127"
    assert (
        "Profile cpu" in run.description
        and "from each of 1, 2, 4 at 0.0003, for each of the seeds 1, 20261127." in run.description
    )
    assert run.runtime_config.pipeline_root == "gs://artifacts/root"
    assert run.runtime_config.parameters.keys() == parameters.parameters().keys()
    assert run.runtime_config.parameters["switch_epochs"] == [1, 2, 4]
    assert run.runtime_config.parameters["seeds"] == [1, 20261127]
    # The run takes them itself, so that a clone of it with other photos does too.
    assert {run.runtime_config.parameters[f"{kind}_digest"] for kind in ("dataset", "weights")} == {""}
    assert run.pipeline_spec is None and run.pipeline_version_reference.pipeline_id == server.pipelines[0].pipeline_id


def test_caching_is_left_as_the_pipeline_has_it(server: Server, submit: Submit) -> None:
    submit()
    spec = yaml.safe_load(server.packages[0].split("\n---\n")[0])
    cached = {name for name, task in tasks_of(spec).items() if task.get("cachingOptions") == {"enableCache": True}}
    assert cached == {"prepare", "transfer", "evaluate", "finetune", "evaluate-2", "collect", "report"}


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
    assert f"switchpoint upload {weights} minio://mlpipeline/weights/weights.h5" in result.output
    assert "kubectl -n kubeflow port-forward svc/seaweedfs 9000:9000" in result.output
    result = submit("--weights", str(weights), "--profile", "gke-l4")
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
    epochs = ",".join(map(str, range(1, 51)))
    result = submit("--switch-epochs", epochs, "--transfer-epochs", "50")
    assert result.exit_code == 2 and "switch_epochs × finetune_learning_rate has 50 values" in result.output
    assert not server.sent("POST", "runs")
