"""What a plan of a cluster says, against what the server's runs are made of."""

import json
from typing import Any

import pytest

from switchpoint.command import forecast
from switchpoint.command.cluster import rerun as cluster_rerun
from switchpoint.provenance import digests as identity
from tests.kfp_server import Server
from tests.stores.proxy import Bucket
from tests.switchpoint.command.cluster.cases import DEMO, ENDED, Submit, begin, call


@pytest.fixture
def ended(server: Server, submit: Submit) -> str:
    """A demo run that succeeded."""
    server.play = lambda run: ENDED
    assert submit("--wait").exit_code == 0
    return str(server.runs[0].run_id)


def planned(server: Server, *arguments: str) -> dict[tuple[Any, ...], tuple[str, str]]:
    result = call("plan", "--host", server.host, *arguments, "--json")
    assert result.exit_code == 0, result.output
    steps = json.loads(result.stdout)["steps"]
    return {(step["name"], step["switch_epoch"]): (step["state"], step["why"]) for step in steps}


def running(steps: dict[tuple[Any, ...], tuple[str, str]]) -> dict[tuple[Any, ...], str]:
    return {key: why for key, (state, why) in steps.items() if state == "will run"}


def test_one_switch_epoch_more_runs_that_one_and_what_collects(server: Server, ended: str) -> None:
    found = planned(server, "--rerun", ended, "--switch-epochs", "1,2,4,6")
    assert running(found) == {
        ("finetune", 6): "new switch epoch",
        ("evaluate", 6): "new switch epoch",
        ("collect", None): "input changed",
        ("report", None): "input changed",
    }
    assert found["transfer", None] == ("cached", f"run {ended} made it")
    assert len(server.runs) == 1


def test_the_same_flags_run_nothing_and_say_how_sure_that_is(server: Server, ended: str) -> None:
    assert running(planned(server, *DEMO)) == {}
    result = call("plan", "--host", server.host, *DEMO)
    assert forecast.SURE in result.output and "cached" in result.output


def test_other_code_runs_with_all_that_comes_after_it(
    server: Server, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = identity.code_digest

    def edited(step: str, device: str = "cpu") -> str:
        return "0" * 64 if step == "evaluate" else original(step, device)

    for module in (identity, cluster_rerun, forecast):
        monkeypatch.setattr(module, "code_digest", edited)
    found = running(planned(server, "--rerun", ended))
    assert {name for name, _ in found} == {"evaluate", "collect", "report"}
    assert found["evaluate", 2] == "code changed" and found["report", None] == "input changed"


def test_other_images_of_the_training_steps_are_other_entries(server: Server, ended: str) -> None:
    assert {name for name, _ in running(planned(server, *DEMO, "--device", "gpu"))} == {
        "transfer", "finetune", "evaluate", "collect", "report",
    }  # fmt: skip


def test_a_photo_more_runs_everything(server: Server, ended: str) -> None:
    run = server.runs[0]
    run.runtime_config.parameters |= {"dataset_digest": "d" * 64}
    assert ("prepare", None) in running(planned(server, *DEMO))


def test_of_a_search_what_is_known_before_it_was_is_not_said_to_run(server: Server, submit: Submit) -> None:
    """Transfer learning of the searched seed is in the graph twice, and is one step."""
    server.play = lambda run: ENDED
    assert submit("--search", "halving", "--wait").exit_code == 0
    result = call("plan", "--host", server.host, *DEMO, "--search", "halving", "--json")
    found = json.loads(result.stdout)
    cached = {(step["name"], step.get("rung")) for step in found["steps"] if step["state"] == "cached"}
    assert cached == {("prepare", None), ("transfer", None), ("finetune", 1), ("halve", 1), ("evaluate", None)}
    assert any("a search's first rung" in note for note in found["notes"])


def test_who_went_on_in_a_search_is_read_from_what_it_wrote(server: Server, submit: Submit, bucket: Bucket) -> None:
    server.play = lambda run: ENDED
    assert submit("--search", "halving", "--wait", "--pipeline-root", bucket.uri("root")).exit_code == 0
    (run,) = server.runs
    begin(bucket, run)
    rungs = [{"rung": 1, "survivors": [[2, 3e-4], [4, 3e-4]]}, {"rung": 2, "survivors": [[4, 3e-4]]}]
    wrote = f"root/switchpoint/{run.run_id}"
    for task, ended in (("halve", rungs[:1]), ("halve-2", rungs)):
        bucket.put(f"{wrote}/{task}/0b5e1f9c/search", json.dumps({"epochs": 4, "rungs": ended}).encode())
    assert running(planned(server, "--rerun", run.run_id)) == {}
    result = call("plan", "--host", server.host, "--rerun", run.run_id, "--json")
    assert not any("rung" in note for note in json.loads(result.stdout)["notes"])
    steps = json.loads(result.stdout)["steps"]
    assert [step["switch_epoch"] for step in steps if step["name"] == "finetune"] == [1, 2, 4, 2, 4, 4]
    more = planned(server, "--rerun", run.run_id, "--switch-epochs", "1,2,4,6")
    assert more["finetune", 4][0] == "cached" and more["finetune", 6][0] == "will run"
    assert more["finetune", None][0] == "will run"  # who goes on from among them is not known


def test_flags_of_a_cluster_need_one() -> None:
    result = call("plan", "--device", "gpu")
    assert result.exit_code == 2 and "--device goes with --host" in result.output
    assert call("plan", "--host", "http://localhost:1", "--rerun").exit_code == 2
