"""A runs' directory that is a file, can't be written, or holds what is no run: an error, no traceback."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from switchpoint.command.cli.main import main
from switchpoint.command.local import run as local_run
from switchpoint.command.runs import store


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


COMMANDS = [
    ["run", "--recipe", "demo"],
    ["plan", "--recipe", "demo"],
    ["rerun"],
    ["runs"],
    ["lineage"],
    ["tensorboard"],
    ["export", "2026", "out"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_file_is_refused(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = call(*command, "--runs-dir", str(tmp_path / "file"))
    assert result.exit_code == 2 and f"Directory '{tmp_path}/file' is a file." in result.output


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = call("run", "--recipe", "demo", "--runs-dir", str(tmp_path / "file" / "runs"))
    assert result.exit_code == 1
    assert f"Error: {tmp_path}/file/runs can't be written: Not a directory. Name another directory" in result.output


def test_other_errors_of_the_system_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "runs/run.json.part")

    monkeypatch.setattr(store, "every", full)
    result = call("runs", "--runs-dir", str(tmp_path))
    assert result.exit_code == 1 and result.output == "Error: runs/run.json.part: No space left on device\n"


def test_a_run_whose_results_cannot_be_written_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "report.html.part")

    monkeypatch.setattr(local_run, "plan", lambda *_: [])
    monkeypatch.setattr(local_run, "orchestrate", lambda *_, **__: None)
    monkeypatch.setattr(local_run, "fill_in", full)
    result = call("run", "--recipe", "demo", "--runs-dir", str(tmp_path))
    assert result.exit_code == 1
    assert result.output.startswith("Error: Every step ended well, but") and "report.html.part" in result.output
    assert [run["state"] for run in store.every(tmp_path)] == ["failed"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG])
def test_no_room_is_told_also_where_the_system_names_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))  # as write() has it

    monkeypatch.setattr(store, "every", full)
    result = call("runs", "--runs-dir", str(tmp_path))
    assert result.exit_code == 1 and result.output == f"Error: {os.strerror(code)}\n"


def test_an_error_of_the_system_that_says_nothing_stays_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(store, "every", broken)
    with pytest.raises(OSError, match="Bad file descriptor"):
        call("runs", "--runs-dir", str(tmp_path))


def test_what_is_no_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "run.json").write_text("{")
    result = call("runs", "--runs-dir", str(tmp_path))
    assert result.exit_code == 1 and f"{tmp_path}/one/run.json is no manifest of a run" in result.output


def step(name: str, state: str, **outputs: str) -> dict[str, Any]:
    return {
        "name": name,
        "seed": None,
        "switch_epoch": None,
        "learning_rate": None,
        "state": state,
        "inputs": {},
        "outputs": outputs,
        "image": "",
    }


def test_a_failed_run_has_no_model_yet(tmp_path: Path) -> None:
    document = store.create(tmp_path, {"dataset": "sample", "switch_epochs": [1], "seeds": [1]}, "subprocess")
    document |= {
        "state": "failed",
        "steps": [step("prepare", "failed"), step("transfer", "skipped", model="planned://5c2b")],
    }
    store.write(tmp_path, document)
    result = call("lineage", "--runs-dir", str(tmp_path))
    assert result.exit_code == 1
    assert f"Run {document['id']} has no model yet: transfer learning has not ended." in result.output


def test_what_was_only_planned_is_not_written_down(tmp_path: Path) -> None:
    document = store.create(tmp_path, {"dataset": "sample", "switch_epochs": [1], "seeds": [1]}, "subprocess")
    going = local_run._Run(document, tmp_path, None, None)  # type: ignore[arg-type]
    expected = {**step("transfer", "will run", model="planned://5c2b"), "inputs": {"records": ["planned://77aa"]}}
    going.close([expected])  # type: ignore[list-item]
    written = json.loads((tmp_path / document["id"] / "run.json").read_text())
    assert [each["state"] for each in written["steps"]] == ["skipped"]
    assert "planned" not in json.dumps(written)
