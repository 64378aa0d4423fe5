"""Trainings that are interrupted end, to the bit, like those that are not."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from components.finetune import step
from switchpoint.documents.training import Row
from switchpoint.provenance.digests import ROOT
from switchpoint.training import checkpoints, surroundings
from switchpoint.training.batches import Feed
from switchpoint.training.logs import Logs
from switchpoint.training.resume import Resume
from tests.components.trainings import EPOCHS, FINETUNE, TRANSFER, history, train, tune

pytestmark = pytest.mark.slow


def interrupt(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """As if the process ended when that epoch's state is saved, and before anything else."""
    add = Logs.add

    def stop(boards: Logs, row: Row, seconds: float) -> None:
        if row["epoch"] == epoch:
            raise KeyboardInterrupt
        add(boards, row, seconds)

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
    assert len(states(tmp_path / "resume")) == 1


def test_transfer_on_features_goes_on_with_the_same_views(
    small_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(TRANSFER, feature_views=2, augmentation="strong")
    whole = train(small_records, tmp_path / "whole", config)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), Resume(str(tmp_path / "resume")) as kept:
        interrupt(patch, 2)
        train(small_records, tmp_path / "killed", config, kept)
    with Resume(str(tmp_path / "resume")) as kept:
        assert train(small_records, tmp_path, config, kept) == whole


def test_rungs_are_beginnings_of_the_training_that_ends_with_the_same_model(
    small_records: Path, transferred: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the state that the rung before left, without it, and where the training has gone on already."""
    config = replace(FINETUNE, epochs=3)
    whole = tune(small_records, transferred, tmp_path / "whole", config)

    def rung(number: int, place: str) -> dict[str, str]:
        with Resume(str(tmp_path / "resume")) as kept:
            return tune(small_records, transferred, tmp_path / place, replace(config, rung=number), kept)

    rung(1, "first")
    assert len(history(tmp_path / "first")["epochs"]) == 1
    second = rung(2, "second")
    assert "goes on after epoch 1:" in capsys.readouterr().out
    assert rung(0, "end") == whole
    assert "goes on after epoch 2:" in capsys.readouterr().out
    rows = [history(tmp_path / place)["epochs"] for place in ("first", "second", "end")]
    assert rows[2][:2] == rows[1] and rows[1][:1] == rows[0]
    assert states(tmp_path / "resume")[-1].startswith("epoch-0003")
    assert rung(2, "late") == second  # a state beyond its end is no state of it
    assert "goes on" not in capsys.readouterr().out


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
    assert len(states(tmp_path / "r")) == 1


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


def test_a_step_killed_after_its_training_and_before_its_outputs_are_known_does_not_train_again(
    small_records: Path, transferred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("it trains")

    with Resume(str(tmp_path / "r")) as kept:
        digests = train(small_records, tmp_path / "a", resume=kept)
    with monkeypatch.context() as patch, Resume(str(tmp_path / "r")) as kept:
        patch.setattr(keras.Model, "fit", refused)
        assert train(small_records, tmp_path / "b", resume=kept) == digests
    assert history(tmp_path / "b") == history(tmp_path / "a")
    with Resume(str(tmp_path / "r")) as kept:
        digests = tune(small_records, transferred, tmp_path / "c", resume=kept)
    with monkeypatch.context() as patch, Resume(str(tmp_path / "r")) as kept:
        patch.setattr(keras.Model, "fit", refused)
        assert tune(small_records, transferred, tmp_path / "d", resume=kept) == digests


ON_DEVICES = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
import tensorflow as tf
from components.finetune import step
from switchpoint.training.resume import Resume
from tests.components.trainings import FINETUNE, tune
from tests.shallow import shallow
records, transferred, place, devices = *map(Path, sys.argv[1:4]), int(sys.argv[4])
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * devices
)
feed = step.feed
def preempted(*arguments):
    seen = feed(*arguments)
    def training(epoch):
        os.kill(os.getpid(), signal.SIGTERM)
        return seen.training(epoch)
    return replace(seen, training=training)
if devices > 1:
    step.feed = preempted
with shallow(), Resume(str(place / "resume")) as kept:
    tune(records, transferred, place, resume=kept)
"""


def test_what_two_devices_began_one_does_not_go_on_with(
    small_records: Path, transferred: Path, finetuned: Path, tmp_path: Path
) -> None:
    def tuned(devices: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", ON_DEVICES, small_records, transferred, tmp_path, str(devices)],
            env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert tuned(2).returncode == 128 + signal.SIGTERM
    assert states(tmp_path)
    alone = tuned(1)
    assert alone.returncode == 0, alone.stderr
    assert "goes on" not in alone.stdout
    assert {**history(tmp_path), "seconds": 0} == {**history(finetuned), "seconds": 0}
    assert tuned(2).returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    "other",
    [
        {"devices": lambda: ["NVIDIA L4", "NVIDIA L4"]},
        {"devices": lambda: ["NVIDIA A100"]},
        {"versions": lambda: {"python": "3.11.2", "numpy": "3.0"}},
        {"threads": lambda: "64"},
        {"VARIABLES": ("HOME",)},
    ],
    ids=["number", "kind", "packages", "threads", "variables"],
)
def test_what_computes_is_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]) -> None:
    def latest() -> bool:
        with pytest.raises(KeyboardInterrupt), Resume(str(tmp_path)) as kept:
            kept.open("finetune", FINETUNE, {}, surroundings.surroundings())
            found = kept.latest() is not None
            kept.save(1, 0, {}, {})
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(surroundings, "devices", lambda: ["NVIDIA L4"])
    assert [latest(), latest()] == [False, True]
    for name, value in other.items():
        monkeypatch.setattr(surroundings, name, value)
    assert not latest()


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
