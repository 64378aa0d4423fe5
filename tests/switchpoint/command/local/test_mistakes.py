"""What the command says of a wrong argument, of a photo that is none, and of runs that are not there."""

import json
import shutil
from pathlib import Path

import pytest

from tests.project import FLAGS, Project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("a project"))  # with a space: of a person's paths


def test_a_failed_step_ends_the_command_with_its_own_error(project: Project) -> None:
    bad = project.place / "bad"
    shutil.copytree(project.photos, bad)
    next(bad.glob("*/1.jpg")).write_bytes(b"no photo")
    done = project.command("run", "--dataset", "bad", "--switch-epochs", "1", *FLAGS, "--json", "--runs-dir", "failed")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["state"] == "failed"
    assert [step["state"] for step in document["steps"]] == ["failed"] + ["skipped"] * 6
    assert "1.jpg" in done.stderr
    assert "max_left_out" in done.stderr
    assert "Inner task failed" not in done.stderr
    assert "Traceback" not in done.stderr
    again = project.command("run", "--dataset", "bad", "--switch-epochs", "1", *FLAGS, "--json", "--runs-dir", "failed")
    assert json.loads(again.stdout)["steps"][0]["state"] == "failed", "a failure must not be cached"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--dataset", "no/such"], "Dataset 'no/such' does not exist"),
        (["run", "--switch-epochs", "0"], "switch_epochs has 0"),
        (["run", "--switch-epochs", "15"], "switch_epochs has 15"),
        (["run", "--switch-epochs", "one"], "give whole numbers separated by commas"),
        (["run", "--backbone", "resnet_9"], "backbone='resnet_9' is unknown"),
        (["run", "--no-such-flag"], "No such option"),
        (["plan", "some-run"], "RUN goes with --rerun"),
    ],
)
def test_wrong_arguments_exit_with_2_before_anything_starts(
    project: Project, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = project.command(*arguments, "--runs-dir", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_rerun_of_nothing_says_so(project: Project, tmp_path: Path) -> None:
    done = project.command("rerun", "--runs-dir", str(tmp_path))
    assert done.returncode == 1
    assert "There is no run in" in done.stderr


def test_a_plan_leaves_nothing_behind(project: Project, tmp_path: Path) -> None:
    plan = project.json("plan", "--recipe", "demo", "--runs-dir", str(tmp_path / "runs"))
    assert [step["state"] for step in plan["steps"]] == ["will run"] * 11
    assert not (tmp_path / "runs").exists()
