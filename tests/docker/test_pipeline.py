"""The whole pipeline in containers, on real photos, and what is made of a container that fails."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from switchpoint.command.local import containers
from switchpoint.provenance import digests as identity

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1800)]
FLAGS = (
    "--backbone=efficientnet_lite0",
    "--image-size=32",
    "--batch-size=64",
    "--transfer-epochs=2",
    "--finetune-epochs=1",
    "--switch-epochs=1",
    "--robustness=off",  # corruptions in a container: test_s3.py, on fewer photos
)
CRASH = "import ctypes; ctypes.string_at(0)"


def run(dataset: Path, runs: Path, *flags: str) -> tuple[int, dict[str, object], str]:
    command = [sys.executable, "-m", "switchpoint.command", "run", "--runner=docker", f"--dataset={dataset}"]
    done = subprocess.run([*command, f"--runs-dir={runs}", "--json", *FLAGS, *flags], capture_output=True, text=True)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.fixture
def images(build: Callable[[str], str]) -> None:
    for step in identity.STEPS:
        build(step)


@pytest.mark.food101
def test_the_whole_pipeline_runs_in_containers(images: None, food101_64px: Path, tmp_path: Path) -> None:
    code, document, errors = run(food101_64px, tmp_path)
    assert code == 0, errors
    assert {step["state"] for step in document["steps"]} == {"ran"}
    assert [row["switch_epoch"] for row in document["results"]] == [None, 1]
    assert all(row["test_accuracy"] > 3 / 101 for row in document["results"]), "no better than chance"
    assert Path(document["report"]).is_file()
    assert Path(document["model"]).is_file()

    code, again, errors = run(food101_64px, tmp_path)
    assert code == 0, errors
    assert {step["state"] for step in again["steps"]} == {"cached"}
    assert again["results"] == document["results"]


def test_a_failed_container_is_a_failed_run_always(images: None, tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(b"no photo")
    for attempt in range(5):
        code, document, errors = run(tmp_path / "photos", tmp_path / "runs")
        assert (code, document["state"]) == (1, "failed"), f"attempt {attempt}"
        assert [step["state"] for step in document["steps"]] == ["failed"] + ["skipped"] * 6
        assert "max_left_out" in errors


def test_a_container_that_is_killed_says_by_what(build: Callable[[str], str]) -> None:
    import docker

    said: list[str] = []
    code = containers.run(said.append, docker.from_env(), build("report"), ["python3", "-c", CRASH], {})
    assert code == 128 + signal.SIGSEGV and said[-1] == "Killed by signal 11 (SIGSEGV).\n"


def test_an_image_that_is_not_there_says_how_to_build_it(
    base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(identity.REGISTRY, "registry.invalid")
    code, document, errors = run(Path("sample"), tmp_path)
    assert (code, document["state"]) == (1, "failed")
    assert "make images DEVICE=cpu" in errors
