"""Recurring runs: what is sent, what is listed, and what a run of one has."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.digest.step import DigestConfig, digest
from switchpoint import addresses
from switchpoint.command import parameters
from switchpoint.command.cluster import schedules
from switchpoint.errors import ParameterError
from tests.kfp_server import Server
from tests.support import tasks_of
from tests.switchpoint.command.cluster.cases import DEMO, Submit, call

Make = Callable[..., Path]


@pytest.fixture
def schedule(server: Server) -> Submit:
    def schedule(*arguments: str) -> Any:
        return call("schedule", "--cron", "0 6 * * 1", *DEMO, "--host", server.host, *arguments)

    return schedule


def listed(server: Server, *arguments: str) -> Any:
    done = call("schedules", "--host", server.host, "--json", *arguments)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_schedule_is_a_recurring_run_with_every_parameter_and_no_digest(server: Server, schedule: Submit) -> None:
    result = schedule("--switch-epochs", "4,1,2", "--pipeline-root", "gs://artifacts/root", "--name", "dishes")
    assert result.exit_code == 0, result.output
    (made,) = server.schedules
    assert f"{server.host}/#/recurringrun/details/{made.recurring_run_id}" in result.output
    assert (made.display_name, made.trigger.cron_schedule.cron, made.status) == ("dishes", "0 0 6 * * 1", "ENABLED")
    assert made.no_catchup and made.max_concurrency == "1"
    assert made.runtime_config.pipeline_root == "gs://artifacts/root"
    values = made.runtime_config.parameters
    assert values.keys() == parameters.parameters().keys() and values["switch_epochs"] == [1, 2, 4]
    assert {values[f"{kind}_digest"] for kind in ("dataset", "weights")} == {""}
    assert made.pipeline_version_reference.pipeline_id == server.pipelines[0].pipeline_id and not server.runs


def test_schedules_are_listed_paused_resumed_and_deleted(server: Server, schedule: Submit) -> None:
    assert listed(server) == []
    schedule("--name", "dishes")
    schedule("--seed", "7")
    server.tick()
    server.tick()
    second, first = sorted(listed(server), key=lambda each: each["name"] == "dishes")
    assert second["name"] == "sample efficientnet_lite0 1,2,4"
    assert (first["state"], first["cron"], first["parameters"]["seed"]) == ("enabled", "0 0 6 * * 1", 1)
    assert first["last"]["state"] == "succeeded" and first["last"]["id"] == server.runs[2].run_id
    assert [each["state"] for each in listed(server, "--pause", "dishes")] == ["paused", "enabled"]
    server.tick()
    assert len(server.runs) == 5
    assert "  dishes  paused  0 0 6 * * 1  last run" in call("schedules", "--host", server.host).output
    assert [each["state"] for each in listed(server, "--resume", first["id"][:8])] == ["enabled", "enabled"]
    short = call("schedules", "--host", server.host, "--delete", second["id"][:8])
    assert short.exit_code == 1 and f"give its name or {second['id']}" in short.output
    assert [each["name"] for each in listed(server, "--delete", "dishes")] == [second["name"]]
    unknown = call("schedules", "--host", server.host, "--delete", "dishes")
    assert unknown.exit_code == 1 and f"no schedule 'dishes' at {server.host}. There are: {second['name']}" in (
        unknown.output
    )
    assert len(server.runs) == 5


def test_a_run_of_a_schedule_looks_at_the_photos_anew_and_other_photos_are_another_input_of_prepare(
    server: Server, schedule: Submit, folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "VOLUMES", tmp_path)
    photos = folder("photos/food", cats=4, dogs=4)
    assert schedule("--dataset", "pvc://photos/food", "--read-contents").exit_code == 0

    def found() -> str:
        server.tick()
        given = server.runs[-1].runtime_config.parameters
        given |= {"learning_rates": given["finetune_learning_rate"], "shape": given["search"], "promotes": False}
        return digest(DigestConfig.given(given)).of_dataset

    before = found()
    assert found() == before
    (photos / "cats" / "new.jpg").write_bytes(b"a photo more")
    assert found() != before
    assert server.runs[0].runtime_config == server.runs[2].runtime_config
    tasks = tasks_of(yaml.safe_load(server.packages[0].split("\n---\n")[0]))
    assert not tasks["digest"].get("cachingOptions", {}).get("enableCache")
    assert tasks["prepare"]["cachingOptions"] == {"enableCache": True}
    assert tasks["prepare"]["inputs"]["parameters"]["dataset_digest"] == {
        "taskOutputParameter": {"producerTask": "digest", "outputParameterKey": "of_dataset"}
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [("0 6 * * 1", "0 0 6 * * 1"), ("30 0 6 * * MON", "30 0 6 * * MON"), ("@weekly", "@weekly")],
)
def test_five_fields_get_their_seconds(given: str, kept: str) -> None:
    """`cron.Parse` of KFP's controller would take the first of five for seconds."""
    assert schedules.cron(given) == kept


def test_what_would_go_wrong_every_week_is_refused(server: Server, schedule: Submit) -> None:
    with pytest.raises(ParameterError, match=r"'6' has 1 fields\. Give five"):
        schedules.cron("6")
    assert schedule("--name", "\U0001f355").exit_code == 2
    assert not server.requests
    assert schedule("--name", "dishes").exit_code == 0
    twice = schedule("--name", "dishes")
    assert twice.exit_code == 1 and "There is a schedule 'dishes'" in twice.output
    server.fault("POST", "recurringruns$", 500)
    assert "It may have been made all the same: look at `switchpoint schedules` first" in schedule().output
    assert len(server.schedules) == 1


def test_a_schedule_that_promotes_asks_for_the_plugin_and_its_package_has_all_of_its_runs(
    server: Server, schedule: Submit
) -> None:
    """2.17.0 starts such runs without the schedule's parameters and root."""
    root = "gs://bucket/weekly"
    assert schedule("--promote", "food", "--seed", "7", "--pipeline-root", root).exit_code == 0
    spec = yaml.safe_load(server.packages[0].split("\n---\n")[0])
    defaults = {name: each.get("defaultValue") for name, each in spec["root"]["inputDefinitions"]["parameters"].items()}
    sent = server.schedules[0]
    assert defaults == sent.runtime_config.parameters and defaults["seed"] == 7 and defaults["promote"] == "food"
    assert spec["defaultPipelineRoot"] == root and sent.plugins_input == {"mlflow": {}}
    schedule("--name", "other")
    assert server.schedules[1].plugins_input is None
