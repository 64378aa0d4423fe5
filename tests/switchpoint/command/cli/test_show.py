"""A run of this machine, shown again."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from switchpoint.command.cli.main import main
from switchpoint.command.runs import store


@pytest.fixture
def run(tmp_path: Path) -> Any:
    parameters = {"dataset": "sample", "switch_epochs": [2], "seed": 7, "seeds": [1]}
    document: Any = store.create(tmp_path, parameters, "subprocess")
    row = {"switch_epoch": 2, "learning_rate": 0.0003,
           "best_epoch": 3, "validation_accuracy": 0.8, "test_accuracy": 0.7, "test_loss": 0.9,
           "gain": None, "diverged": False, "seconds": 9.0}  # fmt: skip
    document |= {
        "state": "succeeded", "results": [row], "starts": [row], "best": {"switch_epoch": 2, "model_digest": "b"},
        "duplicates": [],
        "conclusion": "Switch after epoch 2.", "report": "/somewhere/report.html", "model": "/somewhere/model.keras",
        "steps": [
            {"name": "prepare", "seed": None, "switch_epoch": None, "learning_rate": None,
             "state": "cached", "seconds": None, "log": None,
             "inputs": {}, "outputs": {"look": str(tmp_path / "artifacts" / "r" / "prepare" / "look")}},
            {"name": "finetune", "seed": 1, "switch_epoch": 2, "learning_rate": 0.0003,
             "state": "ran", "seconds": 12.34,
             "log": "logs/finetune-02-seed-1.log", "inputs": {}, "outputs": {}},
        ],
    }  # fmt: skip
    store.write(tmp_path, document)
    return document


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_it_is_what_the_runs_end_printed(run: Any, tmp_path: Path) -> None:
    for which in ((run["id"],), (run["id"][:13],), ()):
        result = call("show", *which, "--runs-dir", str(tmp_path))
        assert result.exit_code == 0, result.output
        lines = result.output.splitlines()
        assert lines[:3] == [f"Run {run['id']}", "prepare        cached", "finetune 2     done in 12.3 s"]
        assert lines[-3:] == [
            "Switch after epoch 2.", "Report: /somewhere/report.html", "Model:  /somewhere/model.keras",
        ]  # fmt: skip
        assert "epoch 2, chosen" in result.output
    assert json.loads(call("show", "--json", "--runs-dir", str(tmp_path)).output) == run


def test_a_run_of_an_earlier_version_is_refused_with_what_to_do(run: Any, tmp_path: Path) -> None:
    run["parameters"]["finetune_learning_rate"] = 0.0003
    store.write(tmp_path, run)
    result = call("show", "--runs-dir", str(tmp_path))
    assert result.exit_code == 1 and "(an earlier version wrote it). Remove its directory." in result.output


def test_a_run_that_failed_says_why_again(run: Any, tmp_path: Path) -> None:
    run["state"] = "failed"
    run["steps"][1] |= {"state": "failed", "error": "No photos."}
    store.write(tmp_path, run)
    output = call("show", "--runs-dir", str(tmp_path)).output
    assert f"finetune 2 failed: No photos.\nIts log: {tmp_path}/{run['id']}/logs/finetune-02-seed-1.log" in output
    assert output.endswith("The run failed.\n")
