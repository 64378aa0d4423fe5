"""Kubeflow with profiles: every namespace has its own pipeline, experiment, version and runs (docs/kubeflow.md)."""

import json

import pytest

from tests.kfp_server import Server
from tests.switchpoint.command.cluster.cases import Submit, call


@pytest.fixture
def server(server: Server) -> Server:
    server.multi_user = True
    return server


@pytest.mark.parametrize("command", ["submit --recipe demo", "runs", "rerun some-run"])
def test_without_a_namespace_a_command_says_what_to_pass(server: Server, command: str) -> None:
    result = call(*command.split(), "--host", server.host)
    assert result.exit_code == 1
    assert "is a multi-user Kubeflow. Pass your profile's namespace: --namespace NAMESPACE." in result.output
    assert not server.pipelines and not server.experiments


def test_two_profiles_have_nothing_in_common(server: Server, submit: Submit) -> None:
    for team in ("team-a", "team-b", "team-a"):
        result = submit("--namespace", team, "--service-account", "switchpoint-runner", "--token", "secret")
        assert result.exit_code == 0, result.output
    assert [one.namespace for one in server.pipelines] == ["team-a", "team-b"]
    assert [one.namespace for one in server.experiments] == ["team-a", "team-b"]
    assert len(server.versions) == 2
    first, other, again = server.runs
    assert first.pipeline_version_reference == again.pipeline_version_reference != other.pipeline_version_reference
    assert {run.service_account for run in server.runs} == {"switchpoint-runner"}
    assert all(headers["authorization"] == "Bearer secret" for _, _, headers in server.requests)


def test_a_profiles_runs_are_listed_and_run_again_in_it(server: Server, submit: Submit) -> None:
    for team in ("team-a", "team-b"):
        submit("--namespace", team)
    mine = ("--host", server.host, "--namespace", "team-b")
    listed = json.loads(call("runs", *mine, "--json").stdout)
    assert [run["id"] for run in listed] == [server.runs[1].run_id]
    result = call("rerun", server.runs[1].run_id, *mine, "--seed", "3")
    assert result.exit_code == 0, result.output
    assert server.runs[2].experiment_id == server.runs[1].experiment_id
    assert len(server.pipelines) == len(server.versions) == 2
