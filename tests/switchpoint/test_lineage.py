"""Lineage of a real run on a few photos, and TensorBoard on it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import keras
import pytest

from switchpoint import boards, lineage_graph, runs, sample
from switchpoint.identity import ROOT

FLAGS = ["--backbone=efficientnet_lite0", "--image-size=32", "--batch-size=8", "--transfer-epochs=1"]
FLAGS += ["--finetune-epochs=1", "--switch-epochs=1"]


def command(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "switchpoint.cli", *arguments]
    return subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and one after it that took all from the cache."""
    place = tmp_path_factory.mktemp("place")
    for dish in list(sample.DISHES)[:3]:
        (place / "photos" / dish).mkdir(parents=True)
        for number in range(12):
            data = sample.photograph(f"{dish}/train-{number:03d}.jpg")
            (place / "photos" / dish / f"{number}.jpg").write_bytes(data)
    for _ in range(2):
        done = command(place, "run", "--dataset", "photos", *FLAGS)
        assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def copy(place: Path, tmp_path: Path) -> Path:
    """The runs, moved elsewhere, to be tampered with."""
    shutil.copytree(place / "runs", tmp_path / "runs")
    return tmp_path


def document(place: Path, *arguments: str) -> dict[str, Any]:
    done = command(place, "lineage", *arguments, "--json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_cached_steps_name_the_run_that_made_them(place: Path) -> None:
    second, first = (run["id"] for run in runs.every(place / "runs"))
    graph = document(place, second, "--all")
    assert {node["made_by_run"] for node in graph["nodes"]} == {first}
    kinds = sorted(node["kind"] for node in graph["nodes"])
    assert kinds == ["checkpoint", "dataset", "model", "model", "records", "weights"]
    assert all(len(node["digest"]) == 64 and len(node["code_digest"]) == 64 for node in graph["nodes"])
    ids = {node["id"] for node in graph["nodes"]}
    assert all({edge["from"], edge["to"]} <= ids for edge in graph["edges"])
    assert "(cached here)" in command(place, "lineage", second).stdout


def test_a_copied_model_tells_by_itself(place: Path, tmp_path: Path) -> None:
    model = next((place / "runs").glob("*/for-loop*/finetune/model/model.keras"))
    shutil.copy(model, tmp_path / "copied.keras")
    keras.models.load_model(tmp_path / "copied.keras", safe_mode=True)
    graph = document(tmp_path, "copied.keras")
    known = {node["kind"]: node for node in graph["nodes"]}
    assert known["checkpoint"]["epoch"] == 1
    assert {"model", "checkpoint", "records", "dataset", "weights"} == set(known)
    assert not any(node["made_by_run"] for node in graph["nodes"])
    assert str(place) not in json.dumps(graph)
    found = document(tmp_path, "copied.keras", "--runs-dir", str(place / "runs"))
    assert all(node["made_by_run"] for node in found["nodes"])
    assert next(node for node in found["nodes"] if node["kind"] == "dataset")["parameters"] == {
        "dataset": str(place / "photos")
    }


def test_verify_names_what_was_tampered_with(copy: Path) -> None:
    newest = runs.every(copy / "runs")[0]["id"]
    whole = command(copy, "lineage", newest, "--all", "--verify")
    assert whole.returncode == 0, whole.stdout
    head = next((copy / "runs").glob("*/transfer/checkpoints/epoch-01.weights.h5"))
    shard = next((copy / "runs").glob("*/prepare/records/train-*.tfrecord"))
    for path in (head, shard):
        content = bytearray(path.read_bytes())
        content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
        path.write_bytes(content)
    done = command(copy, "lineage", newest, "--all", "--verify")
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if line.startswith("DIFFERS")]
    assert any("records" in line and shard.name in line for line in lines)


def test_mermaid_escapes_what_is_data(place: Path) -> None:
    lines = command(place, "lineage", "--mermaid").stdout.splitlines()
    assert lines[0] == "flowchart LR"
    grammar = r'    (n\d+\["[\w .,:/#;-]+(<br/>[\w .,:/#;-]+)*"\]|n\d+ --> n\d+)'
    assert all(re.fullmatch(grammar, line) for line in lines[1:])
    assert lineage_graph._escaped('<b>"x"]`') == "#60;b#62;#34;x#34;#93;#96;"


def test_tensorboard_shows_readable_names_also_of_a_run_from_the_cache(place: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "switchpoint.cli", "tensorboard", "--port", str(port)]
    with subprocess.Popen(words, cwd=place, env=os.environ | {"PYTHONPATH": str(ROOT)}) as process:
        try:
            names: set[str] = set()
            end = time.monotonic() + 90
            while time.monotonic() < end and len(names) < 4:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/runs", timeout=5) as answer:
                        names = set(json.load(answer))
                except OSError:
                    time.sleep(0.5)
        finally:
            process.terminate()  # SIGINT is ignored where the tests run in the background of a script
            process.wait(30)
    assert {
        f"{name}/{split}" for name in ("transfer", "finetune-from-01") for split in ("train", "validation")
    } <= names


def test_logs_of_a_step_that_still_runs_are_found(tmp_path: Path) -> None:
    logs = tmp_path / "r" / "for-loop-1-iteration-1" / "finetune" / "logs"
    logs.mkdir(parents=True)
    step = {"name": "finetune", "switch_epoch": 4, "outputs": {}}
    found = boards.directories(tmp_path, {"id": "r", "parameters": {"switch_epochs": [1, 4]}, "steps": [step]})
    assert found == {"finetune-from-04": logs}
