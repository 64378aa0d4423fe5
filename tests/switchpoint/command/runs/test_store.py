"""Runs as they lie on disk: one whose command is gone was interrupted."""

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from switchpoint.command.errors import RunNotFoundError, RunsDirectoryError
from switchpoint.command.local import run as local_run
from switchpoint.command.runs import store

# A command under way, with children as it has them: started anew, and forks of a server.
HOLDS = """
import multiprocessing, subprocess, sys, time
from pathlib import Path
from switchpoint.command.runs import store

if __name__ == "__main__":
    document = store.create(Path(sys.argv[1]), {}, "subprocess")
    with store.alive(Path(sys.argv[1]), document):
        store.write(Path(sys.argv[1]), document)
        child = subprocess.Popen(["sleep", "60"])
        fork = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(60,))
        fork.start()
        print(child.pid, fork.pid, flush=True)
        time.sleep(60)
"""


def written(runs: Path, **changes: Any) -> dict[str, Any]:
    document = store.create(runs, {"switch_epochs": [1], "seeds": [1]}, "subprocess") | changes
    store.write(runs, document)
    return document


def state(runs: Path) -> str:
    (document,) = store.every(runs)
    return document["state"]


def test_a_run_is_running_for_as_long_as_its_command_lives_and_no_longer(tmp_path: Path) -> None:
    program, runs = tmp_path / "program.py", tmp_path / "runs"
    program.write_text(HOLDS)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, program, runs], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    children = [int(number) for number in process.stdout.readline().split()]
    try:
        assert state(runs) == "running"
        process.kill()
        process.wait()
        for child in children:
            os.kill(child, 0)  # they live
        assert state(runs) == "interrupted"
    finally:
        process.stdout.close()
        for child in children:
            os.kill(child, signal.SIGKILL)


def test_a_number_that_another_process_has_is_no_sign_of_life(tmp_path: Path) -> None:
    document = written(tmp_path, process=1)  # as every command's in a container
    assert state(tmp_path) == "interrupted"
    (tmp_path / document["id"] / store.LOCK).touch()
    assert state(tmp_path) == "interrupted"


@pytest.mark.parametrize(("gone", "expected"), [(False, "running"), (True, "interrupted")])
def test_where_there_is_no_flock_the_number_has_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool, expected: str
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    ended = subprocess.Popen(["true"])
    ended.wait()
    document = written(tmp_path, process=ended.pid if gone else os.getpid())
    with store.alive(tmp_path, document):  # type: ignore[arg-type]
        assert state(tmp_path) == expected


def test_the_steps_of_a_run_whose_command_is_gone_were_interrupted(tmp_path: Path) -> None:
    written(tmp_path, steps=[{"name": "prepare", "state": "ran"}, {"name": "transfer", "state": "running"}])
    (document,) = store.every(tmp_path)
    assert [step["state"] for step in document["steps"]] == ["ran", "interrupted"]


def test_a_run_that_ends_while_it_is_read_is_what_it_says_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = written(tmp_path)
    lives = store._lives

    def ends(*arguments: Any) -> bool:
        store.write(tmp_path, document | {"state": "succeeded", "report": "report.html"})  # type: ignore[arg-type]
        return lives(*arguments)

    monkeypatch.setattr(store, "_lives", ends)
    (found,) = store.every(tmp_path)
    assert (found["state"], found["report"]) == ("succeeded", str(tmp_path / "report.html"))


@pytest.mark.parametrize(("state", "before"), [("succeeded", "_read"), ("running", "_lives")])
def test_a_run_that_is_removed_while_it_is_read_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, before: str
) -> None:
    stays, goes = written(tmp_path, state="succeeded"), written(tmp_path, state=state)
    original = getattr(store, before)

    def removed(*arguments: Any) -> Any:
        shutil.rmtree(tmp_path / goes["id"], ignore_errors=True)
        return original(*arguments)

    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda *arguments: iter(list(glob(*arguments))))  # it was listed
    monkeypatch.setattr(store, before, removed)
    assert [run["id"] for run in store.every(tmp_path)] == [stays["id"]]


@pytest.mark.parametrize("count", [1, 2])
def test_an_empty_text_names_no_run(tmp_path: Path, count: int) -> None:
    newest = [written(tmp_path) for _ in range(count)][-1]
    with pytest.raises(RunNotFoundError, match="An empty text names no run"):
        store.find(tmp_path, "")
    assert store.find(tmp_path, None)["id"] == newest["id"]


def test_a_step_that_a_second_ctrl_c_did_not_wait_for_was_interrupted(tmp_path: Path) -> None:
    steps = [
        {"name": name, "seed": None, "switch_epoch": None, "learning_rate": None, "state": each}
        for name, each in (("prepare", "ran"), ("transfer", "running"))
    ]
    document = written(tmp_path, steps=steps, state="interrupted")
    local_run._Run(document, tmp_path, None, None).close([])  # type: ignore[arg-type]
    found = json.loads((tmp_path / document["id"] / "run.json").read_text())
    assert [step["state"] for step in found["steps"]] == ["ran", "interrupted"]


@pytest.mark.parametrize("content", ["[]", "{}", '["id", "state", "steps"]', "null", '{"id": "x", "state": "failed"}'])
def test_json_that_is_no_run_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "run.json").write_text(content)
    with pytest.raises(RunsDirectoryError, match=r"one/run.json is no manifest of a run \(it is no object with id"):
        store.every(tmp_path)
