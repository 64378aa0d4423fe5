"""The whole command, killed again and again: it ends with the weights and curves of a run that was never killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from switchpoint.data.sources import dishes as sample
from tests.shallow import shallow_project

EPOCHS = 6
# In which step, after how many finished epochs, and what part of the next one later.
KILLS = [
    ("transfer-seed-1", 0, 0.9),
    ("transfer-seed-1", 3, 0.5),
    ("finetune-01-0.0003-seed-1", 0, 0.8),
    ("finetune-01-0.0003-seed-1", 1, 0.1),
    ("finetune-01-0.0003-seed-1", 2, 0.5),
    ("finetune-01-0.0003-seed-1", 3, 0.9),
    ("finetune-01-0.0003-seed-1", 5, 0.3),
    ("finetune-01-0.0003-seed-1", 6, 0.0),
]


@pytest.fixture
def dishes(tmp_path: Path) -> Path:
    """Photos, and beside them the code that trains on them."""
    shallow_project(tmp_path / "code")
    for dish in list(sample.DISHES)[:3]:
        (tmp_path / "dishes" / dish).mkdir(parents=True)
        for number in range(40):
            data = sample.photograph(f"{dish}/train-{number:03d}.jpg")
            (tmp_path / "dishes" / dish / f"{number}.jpg").write_bytes(data)
    return tmp_path / "dishes"


def start(dishes: Path, runs: Path, switch_epochs: str = "1", says: bool = False) -> subprocess.Popen[str]:
    flags = {
        "dataset": dishes,
        "backbone": "efficientnet_lite0",
        "weights": "none",
        "image-size": 64,
        "batch-size": 8,
        "transfer-epochs": EPOCHS,
        "finetune-epochs": EPOCHS,
        "switch-epochs": switch_epochs,
        "runs-dir": runs,
    }
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    return subprocess.Popen(
        [sys.executable, "-m", "switchpoint.command", "run", "--json", *arguments],
        cwd=dishes.parent,
        env=os.environ | {"PYTHONPATH": str(dishes.parent / "code")},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if says else subprocess.DEVNULL,
        text=True,
    )


def finish(dishes: Path, runs: Path) -> dict[str, Any]:
    process = start(dishes, runs)
    out, _ = process.communicate()
    assert process.returncode == 0, out
    document: dict[str, Any] = json.loads(out)
    return document


def outcome(document: dict[str, Any]) -> dict[str, Any]:
    """Digests and curves; no times, no places."""
    histories = {}
    for step in document["steps"]:
        if "history" in step["outputs"]:
            history = json.loads(Path(step["outputs"]["history"]).read_text())
            histories[step["name"]] = history | {"seconds": len(history["seconds"])}
    return {"results": [row | {"seconds": 0} for row in document["results"]], "histories": histories}


def the_session(leader: int) -> list[str]:
    """The command lines of all live processes of a session."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, session = (place / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                found.append((place / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def gone(leader: int) -> None:
    """Wait for the end of all processes of a session: to give back a training's memory takes a moment."""
    deadline = time.monotonic() + 10
    while left := the_session(leader):
        assert time.monotonic() < deadline, f"orphans: {left}"
        time.sleep(0.05)


def wait(process: subprocess.Popen[str], runs: Path, step: str, epochs: int, earlier: set[Path]) -> None:
    """Wait until this run, which is none of the earlier ones, has finished that many of a step's epochs."""
    while process.poll() is None:
        newest = max(set(runs.glob("2*/logs")) - earlier, default=None)
        log = newest / f"{step}.log" if newest else None
        text = log.read_text() if log and log.exists() else None
        if text is not None and (not epochs or f"epoch {epochs}/" in text or f"after epoch {epochs}:" in text):
            return
        time.sleep(0.02)
    raise AssertionError(f"It ended before epoch {epochs} of {step}: {process.communicate()}")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_killed_at_any_moment_a_run_ends_as_if_it_never_was(dishes: Path, tmp_path: Path) -> None:
    undisturbed = finish(dishes, tmp_path / "undisturbed")
    seconds = {}
    for step in undisturbed["steps"]:
        if "history" in step["outputs"]:
            each = json.loads(Path(step["outputs"]["history"]).read_text())["seconds"]
            seconds[step["name"]] = (step["seconds"] - sum(each), sorted(each)[EPOCHS // 2])

    runs = tmp_path / "killed"
    for step, epochs, part in KILLS:
        earlier = set(runs.glob("2*/logs"))
        process = start(dishes, runs)
        wait(process, runs, step, epochs, earlier)
        to_begin, an_epoch = seconds[step.partition("-")[0]]
        time.sleep(part * (an_epoch if epochs else to_begin))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        gone(process.pid)

    ended = finish(dishes, runs)
    assert outcome(ended) == outcome(undisturbed)
    logs = [path.read_text() for path in sorted(runs.glob("*/logs/finetune-01-0.0003-seed-1.log"))]
    assert sum("goes on after epoch" in log for log in logs) >= 4
    assert list((runs / ".resume").iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_keeps_the_state_and_starts_nothing_more(dishes: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    process = start(dishes, runs, "1,2,3", says=True)
    wait(process, runs, "finetune-01-0.0003-seed-1", 1, set())
    under_way = json.loads(next(runs.glob("2*/run.json")).read_text())
    assert next(step["state"] for step in under_way["steps"] if step["name"] == "finetune") == "running"
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.rstrip().endswith("Interrupted. What has finished is kept: the same command goes on from there.")
    assert not [noise for noise in ("ERROR", "Traceback", "Aborted", "Error", "KeyError") if noise in said], said
    document = json.loads(next(runs.glob("2*/run.json")).read_text())
    states = {(step["name"], step["switch_epoch"]): step["state"] for step in document["steps"]}
    assert document["state"] == "interrupted"
    assert states["transfer", None] == "ran"
    assert states["finetune", 1] == "interrupted"
    assert states["finetune", 3] == states["report", None] == "skipped"
    assert "the state is kept" in next(runs.glob("2*/logs/finetune-01-0.0003-seed-1.log")).read_text()
    assert list((runs / ".resume").glob("*/*.npz"))
    gone(process.pid)
