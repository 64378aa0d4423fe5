"""Trainings that are interrupted end, to the bit, like those that are not."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from components.finetune import step
from switchpoint.documents import Row
from switchpoint.training import checkpoints
from switchpoint.training.batches import Feed
from switchpoint.training.logs import Logs
from switchpoint.training.resume import Resume
from tests.components.trainings import EPOCHS, FINETUNE, TRANSFER, history, train, tune


def interrupt(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """As if the process ended when that epoch's state is saved, and before anything else."""
    add = Logs.add

    def stop(boards: Logs, row: Row) -> None:
        if row["epoch"] == epoch:
            raise KeyboardInterrupt
        add(boards, row)

    monkeypatch.setattr(Logs, "add", stop)


def states(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*.npz"))


@pytest.mark.parametrize("epoch", range(1, EPOCHS + 1))
def test_transfer_goes_on_after_any_epoch(
    small_records: Path, transferred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), Resume(str(tmp_path / "resume")) as kept:
        interrupt(patch, epoch)
        train(small_records, tmp_path / "killed", resume=kept)
    assert states(tmp_path / "resume")[-1].startswith(f"epoch-000{epoch}-step-000000")
    assert not (tmp_path / "killed" / "checkpoints" / checkpoints.MANIFEST).exists()
    with Resume(str(tmp_path / "resume")) as kept:
        train(small_records, tmp_path, resume=kept)
    same = [(place / "checkpoints" / checkpoints.MANIFEST).read_text() for place in (tmp_path, transferred)]
    assert same[0] == same[1]
    assert {**history(tmp_path), "seconds": 0} == {**history(transferred), "seconds": 0}
    events = EventAccumulator(str(tmp_path / "logs" / "validation"), size_guidance={"tensors": 0}).Reload()
    assert [event.step for event in events.Tensors("epoch_loss")] == [1, 2, 3]
    assert list((tmp_path / "resume").iterdir()) == []


def test_transfer_on_features_goes_on_with_the_same_views(
    small_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(TRANSFER, feature_views=2)
    whole = train(small_records, tmp_path / "whole", config)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), Resume(str(tmp_path / "resume")) as kept:
        interrupt(patch, 2)
        train(small_records, tmp_path / "killed", config, kept)
    with Resume(str(tmp_path / "resume")) as kept:
        assert train(small_records, tmp_path, config, kept) == whole


def test_fine_tuning_stops_in_the_middle_of_an_epoch_and_goes_on_there(
    small_records: Path, transferred: Path, finetuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The batches are asked for right before the training starts: so it is stopped after its next step.
    feed = step.feed

    def preempted(*arguments: Any) -> Feed:
        seen = feed(*arguments)

        def training(epoch: int) -> Any:
            os.kill(os.getpid(), signal.SIGTERM)
            return seen.training(epoch)

        return replace(seen, training=training)

    for stopped in ("epoch-0000-step-000001", "epoch-0000-step-000002"):
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended, Resume(str(tmp_path / "r")) as kept:
            patch.setattr(step, "feed", preempted)
            tune(small_records, transferred, tmp_path, resume=kept)
        assert ended.value.code == 128 + signal.SIGTERM
        assert states(tmp_path / "r")[-1].startswith(stopped)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    with Resume(str(tmp_path / "r")) as kept:
        tune(small_records, transferred, tmp_path, resume=kept)
    assert {**history(tmp_path), "seconds": 0} == {**history(finetuned), "seconds": 0}
    assert list((tmp_path / "r").iterdir()) == []


def test_fine_tuning_goes_on_from_the_state_before_a_torn_one(
    small_records: Path,
    transferred: Path,
    finetuned: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), Resume(str(tmp_path / "r")) as kept:
        interrupt(patch, 2)
        tune(small_records, transferred, tmp_path, resume=kept)
    newest = max((tmp_path / "r").rglob("*.npz"), key=lambda path: path.name)
    newest.write_bytes(newest.read_bytes()[:-1000])
    with Resume(str(tmp_path / "r")) as kept:
        tune(small_records, transferred, tmp_path, resume=kept)
    assert "goes on after epoch 1:" in capsys.readouterr().out
    assert {**history(tmp_path), "seconds": 0} == {**history(finetuned), "seconds": 0}


def test_a_changed_training_starts_from_its_own_beginning(
    small_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), Resume(str(tmp_path / "r")) as kept:
        interrupt(patch, 2)
        train(small_records, tmp_path, resume=kept)
    with Resume(str(tmp_path / "r")) as kept:
        train(small_records, tmp_path, replace(TRANSFER, epochs=1, learning_rate=0.002), kept)
    assert "goes on" not in capsys.readouterr().out


def test_a_stopped_process_leaves_its_place_to_the_next(
    small_records: Path, transferred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Resume(str(tmp_path / "r")) as first:
        digests = tune(small_records, transferred, tmp_path / "a", replace(FINETUNE, epochs=1), first)
        with Resume(str(tmp_path / "r")) as second:
            assert tune(small_records, transferred, tmp_path / "b", replace(FINETUNE, epochs=1), second) == digests
            assert not second.keeps
