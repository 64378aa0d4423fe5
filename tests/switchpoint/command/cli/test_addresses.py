"""An address that is not supported is refused before anything is done; nothing of it becomes a folder here."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from switchpoint import addresses
from switchpoint.command.cli.main import main
from switchpoint.command.parameters import located, resolve
from switchpoint.training.states import RESUME


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.parametrize(
    "address",
    [
        *("az://bucket/x", "S3://bucket/x", "s3:/bucket/x", "file:///x", "GS://b/x", "gs:/b/x"),
        *("s3:bucket/x", "gs:bucket/x", "gs//bucket/x", "GS//b", "https//host/x", "gs:", "abfs:x", "pvc//x"),
    ],
)
def test_another_scheme_is_not_supported(address: str) -> None:
    assert "is not supported. Give gs:// or s3://BUCKET/NAME, or a path." in addresses.unsupported(address)


@pytest.mark.parametrize(
    "address",
    [
        "gs://bucket/x",
        "s3://bucket/x",
        "minio://bucket/x",
        "tfds:food101",
        "sample",
        "a/b",
        "/a/b",
        "~/x",
        "a:b",
        "c:/x",
        "./s3://x",
        "gs/x",
        "s3",
    ],
)
def test_these_are(address: str) -> None:
    assert addresses.unsupported(address) == ""


@pytest.mark.parametrize("command", [
    ("check", "~nobody-here/photos"),
    ("plan", "--dataset=~nobody-here/photos"), ("plan", "--weights=~nobody-here/weights"),
    ("plan", "--runs-dir=~nobody-here/runs"), ("plan", "~nobody-here/experiment.yaml"),
])  # fmt: skip
def test_the_home_of_nobody_is_refused(command: tuple[str, ...]) -> None:
    done = call(*command)
    assert done.exit_code and "begins with a home directory that is not known here. Write it out." in done.output


@pytest.mark.parametrize("address", ["gs:bucket/x", "gs//bucket/x"])
def test_what_is_there_is_a_path_whatever_its_name(address: str, elsewhere: Path) -> None:
    (elsewhere / address).mkdir(parents=True)
    assert addresses.unsupported(address) == ""


COMMANDS = {
    "export-without-slashes": ["export", "20260101", "gs:bucket/x"],
    "export-without-colon": ["export", "20260101", "gs//bucket/x"],
    "export": ["export", "20260101", "az://bucket/x"],
    "upload": ["upload", ".", "az://bucket/x"],
    "dataset": ["run", "--dataset", "az://bucket/x"],
    "weights": ["run", "--recipe", "demo", "--weights", "az://bucket/x"],
    "weights-name": ["run", "--recipe", "demo", "--weights", "hub:x"],
    "plan": ["plan", "--dataset", "az://bucket/x"],
    "submit": ["submit", "--host", "http://127.0.0.1:1", "--dataset", "az://bucket/x"],
    "submit-weights": ["submit", "--host", "http://127.0.0.1:1", "--weights", "az://bucket/x"],
    "pipeline-root": ["submit", "--host", "http://127.0.0.1:1", "--pipeline-root", "az://bucket/x"],
    "pipeline-root-path": ["submit", "--host", "http://127.0.0.1:1", "--pipeline-root", "bucket/x"],
    "resume": ["submit", "--host", "http://127.0.0.1:1", "--resume", "az://bucket/x"],
    "compile": ["compile", "--resume", "az://bucket/x"],
    "compile-relative": ["compile", "--resume", "states"],
    "output": ["compile", "--output", "az://bucket/x"],
    "runs-dir": ["runs", "--runs-dir", "gs://bucket/x"],
    "runs-dir-run": ["run", "--recipe", "demo", "--runs-dir", "az://bucket/x"],
    "lineage": ["lineage", "az://bucket/x/model.keras"],
    "lineage-bucket": ["lineage", "gs://bucket/x/model.keras"],
    "lineage-root": ["lineage", "1", "--host", "http://127.0.0.1:1", "--pipeline-root", "az://bucket/x"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_refuses_it_and_leaves_nothing(command: list[str], elsewhere: Path) -> None:
    result = call(*command)
    assert result.exit_code == 2, result.output
    assert "Error: " in result.output and command[-1] in result.output
    assert os.listdir(elsewhere) == []


def test_the_place_of_saved_states_is_checked_too(monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
    monkeypatch.setenv(RESUME, "az://bucket/x")
    result = call("run", "--recipe", "demo")
    assert result.exit_code == 2 and f"${RESUME}: 'az://bucket/x' has the scheme 'az'" in result.output
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
