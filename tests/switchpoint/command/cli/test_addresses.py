"""An address that is not supported is refused before anything is done; nothing of it becomes a folder here."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from switchpoint import addresses
from switchpoint.command.cli.main import located, main
from switchpoint.command.parameters import resolve
from switchpoint.training.resume import RESUME


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.parametrize(
    "address", ["s3://bucket/x", "S3://bucket/x", "s3:/bucket/x", "file:///x", "GS://b/x", "gs:/b/x"]
)
def test_another_scheme_is_not_supported(address: str) -> None:
    assert "is not supported. Give gs://BUCKET/NAME, or a path." in addresses.unsupported(address)


@pytest.mark.parametrize(
    "address", ["gs://bucket/x", "tfds:food101", "sample", "a/b", "/a/b", "~/x", "a:b", "c:/x", "./s3://x"]
)
def test_these_are(address: str) -> None:
    assert addresses.unsupported(address) == ""


COMMANDS = {
    "export": ["export", "20260101", "s3://bucket/x"],
    "upload": ["upload", ".", "s3://bucket/x"],
    "dataset": ["run", "--dataset", "s3://bucket/x"],
    "weights": ["run", "--recipe", "demo", "--weights", "s3://bucket/x"],
    "weights-name": ["run", "--recipe", "demo", "--weights", "hub:x"],
    "plan": ["plan", "--dataset", "s3://bucket/x"],
    "submit": ["submit", "--host", "http://127.0.0.1:1", "--dataset", "s3://bucket/x"],
    "submit-weights": ["submit", "--host", "http://127.0.0.1:1", "--weights", "s3://bucket/x"],
    "pipeline-root": ["submit", "--host", "http://127.0.0.1:1", "--pipeline-root", "s3://bucket/x"],
    "pipeline-root-path": ["submit", "--host", "http://127.0.0.1:1", "--pipeline-root", "bucket/x"],
    "resume": ["submit", "--host", "http://127.0.0.1:1", "--resume", "s3://bucket/x"],
    "compile": ["compile", "--resume", "s3://bucket/x"],
    "output": ["compile", "--output", "s3://bucket/x"],
    "runs-dir": ["runs", "--runs-dir", "gs://bucket/x"],
    "runs-dir-run": ["run", "--recipe", "demo", "--runs-dir", "s3://bucket/x"],
    "lineage": ["lineage", "s3://bucket/x/model.keras"],
    "lineage-bucket": ["lineage", "gs://bucket/x/model.keras"],
    "lineage-root": ["lineage", "1", "--host", "http://127.0.0.1:1", "--pipeline-root", "s3://bucket/x"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_refuses_it_and_leaves_nothing(command: list[str], elsewhere: Path) -> None:
    result = call(*command)
    assert result.exit_code == 2, result.output
    assert "Error: " in result.output and command[-1] in result.output
    assert os.listdir(elsewhere) == []


def test_the_place_of_saved_states_is_checked_too(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
    monkeypatch.setenv(RESUME, "s3://bucket/x")
    result = call("run", "--recipe", "demo")
    assert result.exit_code == 2 and f"${RESUME}: 's3://bucket/x' has the scheme 's3'" in result.output
    assert os.listdir(elsewhere) == []


def test_a_tilde_that_the_shell_leaves_is_the_home_directory(
    folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(a=3, b=3)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "weights.h5").write_bytes(b"weights")
    values = located(resolve("demo", {"dataset": "~/photos", "weights": "~/weights.h5"}))
    assert (values["dataset"], values["weights"]) == (str(root), str(tmp_path / "weights.h5"))
    result = call("compile", "--output=~/pipeline.yaml", "--resume=~/states")
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "states") in (tmp_path / "pipeline.yaml").read_text()
    assert f"no run in {tmp_path}/there" in call("lineage", "--runs-dir=~/there").output
