"""What a step tells MLflow: a real server, also one that is dead, hangs, or is killed in the middle."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from switchpoint.documents.training import Row
from switchpoint.tracking import QUICKLY, Tracker
from tests.mlflow_server import Server

pytestmark = pytest.mark.slow

MEASURED = ("loss", "categorical_accuracy", "val_loss", "val_categorical_accuracy", "learning_rate")


def row(epoch: int) -> Row:
    return {
        "epoch": epoch,
        "loss": 1 / epoch,
        "categorical_accuracy": 0.5,
        "val_loss": 2 / epoch,
        "val_categorical_accuracy": 0.4,
        "learning_rate": 1e-3,
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def run(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run in MLflow, told to a step as KFP's plugin tells it."""
    from mlflow import MlflowClient

    for name in QUICKLY:
        monkeypatch.setenv(name, QUICKLY[name])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    run: str = MlflowClient(server.uri).create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    monkeypatch.setenv("MLFLOW_RUN_ID", run)
    return run


def told(server: Server, run: str, name: str = "val_loss") -> list[tuple[int, float]]:
    from mlflow import MlflowClient

    found = MlflowClient(server.uri).get_metric_history(run, name)
    return sorted((each.step, each.value) for each in found)


def train(epochs: range) -> float:
    """Tell of epochs that take no time; gives the longest that an epoch waited, in seconds."""
    longest = 0.0
    with Tracker("finetune 4") as tracker:
        for epoch in epochs:
            begun = time.monotonic()
            tracker.epoch(row(epoch), 0.25)
            longest = max(longest, time.monotonic() - begun)
    return longest


def test_every_epoch_is_told_with_all_that_was_measured(server: Server, run: str) -> None:
    train(range(1, 4))
    assert told(server, run) == [(1, 2.0), (2, 1.0), (3, 2 / 3)]
    assert told(server, run, "seconds") == [(1, 0.25), (2, 0.25), (3, 0.25)]
    assert all(len(told(server, run, name)) == 3 for name in MEASURED)


def test_a_step_that_is_not_tracked_tells_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    before = dict(os.environ)
    assert train(range(1, 4)) < 0.1 and dict(os.environ) == before
    assert capsys.readouterr().out == ""


def test_a_dead_server_is_said_once_and_costs_nothing(
    run: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somebody:secret@127.0.0.1:1")
    begun = time.monotonic()
    assert train(range(1, 6)) < 0.5
    assert time.monotonic() - begun < 5
    said = capsys.readouterr()
    assert said.out.startswith("finetune 4: MLflow at http://127.0.0.1:1 is not told all: ")
    assert said.out.count("\n") == 1 and "secret" not in said.out + said.err


def test_a_server_that_hangs_is_waited_for_no_longer_than_a_second_an_epoch(
    server: Server, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.signal(signal.SIGSTOP)
    begun = time.monotonic()
    assert train(range(1, 4)) < 0.5
    assert 2.5 < time.monotonic() - begun < 4
    assert capsys.readouterr().out.count("\n") == 1
    server.signal(signal.SIGCONT)


def test_what_a_server_missed_while_it_was_down_is_told_when_it_answers_again(
    server: Server, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Tracker("transfer") as tracker:
        tracker.epoch(row(1), 0.1)
        while not told(server, run):
            time.sleep(0.05)
        server.signal(signal.SIGKILL)
        tracker.epoch(row(2), 0.1)
        tracker.epoch(row(3), 0.1)
        for _ in range(100):
            if said := capsys.readouterr().out:
                break
            time.sleep(0.1)
        server.start()
        tracker.epoch(row(4), 0.1)
    assert said.count("\n") == 1 and capsys.readouterr().out == ""
    # Killed between taking and answering, it is told the same again.
    assert [*dict.fromkeys(step for step, _ in told(server, run))] == [1, 2, 3, 4]


def test_what_the_server_refuses_keeps_nothing_else_back(
    server: Server, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Tracker("transfer") as tracker:
        tracker.tell(lambda client, run: client.set_tag("no such run", "a", "b"))
        tracker.epoch(row(1), 0.1)
    assert told(server, run) == [(1, 2.0)]
    assert "no such run" in capsys.readouterr().out
