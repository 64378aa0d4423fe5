"""A laptop session: a tracked run, its model registered and promoted, challengers, refusals, and the way back."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from switchpoint.data.manifest import read_contents
from tests.project import FLAGS, Project

pytestmark = pytest.mark.slow

QUICK = [*FLAGS, "--transfer-epochs=1", "--switch-epochs=1", "--robustness=off"]


def records(document: dict[str, Any]) -> dict[str, list[str]]:
    return read_contents(Path(document["steps"][0]["outputs"]["records"]))


def champions(project: Project) -> list[int]:
    said = project.python(
        "from mlflow import MlflowClient",
        "model = MlflowClient(registry_uri='sqlite:///runs/mlflow.db').get_registered_model('food')",
        "print(model.aliases['champion'], model.tags['switchpoint.champions'])",
    )
    champion, told = said.splitlines()[-1].split(maxsplit=1)
    numbers = [each["version"] for each in json.loads(told)]
    assert int(champion) == numbers[-1]
    return numbers


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("session"), photos=40, tracked=True)


@pytest.fixture(scope="module")
def first(project: Project) -> dict[str, Any]:
    """The first champion: version 1."""
    document = project.json("run", "--dataset", "photos", *QUICK, "--name", "first", "--mlflow")
    version = project.json("register", "first", "food")
    assert version["version"] == 1 and version["tags"]["model_digest"] == document["best"]["model_digest"]
    assert project.json("register", "first", "food")["version"] == 1  # again: the same
    promoted = project.json("promote", "food")
    assert (promoted["outcome"], promoted["against"]) == ("promoted", {})
    return document


@pytest.fixture(scope="module")
def second(project: Project, first: dict[str, Any]) -> dict[str, Any]:
    """Split by another seed, so that most of its test photos are in the first one's training: version 2."""
    document = project.json("rerun", first["id"], "--seed", "5", "--seeds", "2", "--name", "second", "--mlflow")
    assert project.json("register", "second", "food")["version"] == 2
    return document


def test_a_challenger_is_judged_on_photos_on_which_neither_was_trained(
    project: Project, first: dict[str, Any], second: dict[str, Any]
) -> None:
    mine, theirs = records(second), records(first)
    unseen = set(mine["test"]) - {*theirs["train"], *theirs["validation"]}
    assert 0 < len(unseen) < len(mine["test"])
    done = project.command("promote", "food", "--json")
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert found["outcome"] in ("undecided", "worse") and found["against"]["1"]["photos"] == len(unseen)
    assert f"Of {len(unseen)} test photos" in found["sentence"] and "points worse, where 1 may be" in found["sentence"]
    assert champions(project) == [1]


def test_it_is_promoted_within_a_margin_and_one_command_goes_back(
    project: Project, first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert project.json("promote", "food", "--margin", "100")["outcome"] == "promoted"
    assert champions(project) == [1, 2]
    already = project.command("promote", "food")
    assert already.returncode == 0 and "is the champion already" in already.stdout
    assert "Version 1 of food is the champion again" in project.command("rollback", "food").stdout
    assert champions(project) == [1]
    again = project.command("rollback", "food")
    assert again.returncode == 1 and "none to go back to" in again.stderr


def test_of_two_promotions_at_once_one_wins_and_the_other_knows(project: Project, second: dict[str, Any]) -> None:
    assert "Version 2 of food was rolled back" in project.command("promote", "food", "--margin", "100").stderr
    both = [project.start("promote", "food", "--version", "2", "--margin", "100") for _ in range(2)]
    output = [each.communicate()[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], output
    assert sum("Version 2 of food is the champion already" in each for each in output) == 1
    assert champions(project) == [1, 2]


def test_other_classes_are_refused_and_so_is_a_run_that_is_gone(project: Project, second: dict[str, Any]) -> None:
    fewer = project.place / "fewer"
    for each in sorted(project.photos.iterdir())[:2]:
        shutil.copytree(each, fewer / each.name)
    project.json("run", "--dataset", "fewer", *QUICK, "--name", "fewer")  # not tracked: registered all the same
    assert project.json("register", "fewer", "food")["version"] == 3
    refused = project.command("promote", "food")
    missing = sorted(each.name for each in project.photos.iterdir())[2]
    assert refused.returncode == 1 and "has 3 classes and the challenger 2" in refused.stderr
    assert f"only there: {missing}" in refused.stderr
    project.command("rm", "fewer")
    gone = project.command("promote", "food")
    assert gone.returncode == 1 and "Traceback" not in gone.stderr and "runs" in gone.stderr


def test_a_run_may_end_with_a_promotion_whatever_comes_of_it(
    project: Project, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """All but the last step comes from the cache; of a registry of its own."""
    won = project.json("rerun", first["id"], "--promote", "weekly")
    assert won["steps"][-1]["name"] == "promote" and won["promotion"]["outcome"] == "promoted"
    assert {step["state"] for step in won["steps"][:-1]} == {"cached"}
    again = project.json("rerun", won["id"])
    assert (again["state"], again["promotion"]["outcome"]) == ("succeeded", "champion")
    assert again["promotion"]["sentence"] == "Version 1 of weekly is the champion already."
    lost = project.command("rerun", second["id"], "--promote", "weekly")
    assert lost.returncode == 0 and "Version 2 of weekly is not promoted" in lost.stdout, lost.stderr
    within = project.json("rerun", second["id"], "--promote", "weekly", "--promote-margin", "100")
    assert (within["promotion"]["version"], within["promotion"]["outcome"]) == (2, "promoted")
    planned = project.json("plan", "--rerun", within["id"])["steps"][-1]
    assert (planned["state"], planned["why"]) == ("will run", "the registry is asked each time")


def test_what_is_no_model_is_told(project: Project, first: dict[str, Any]) -> None:
    for arguments, said in (
        (("promote", "drinks"), "drinks is not registered"),
        (("rollback", "drinks"), "drinks is not registered"),
        (("promote", "food", "--version", "77"), "has no version 77"),
        (("promote", "food", "--mlflow", "runs/mlflow.db"), "is no address of MLflow"),
    ):
        done: subprocess.CompletedProcess[str] = project.command(*arguments)
        assert done.returncode in (1, 2) and said in done.stderr and "Traceback" not in done.stderr, done.stderr
