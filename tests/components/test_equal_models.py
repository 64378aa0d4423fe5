"""Equal trainings give equal model files, byte for byte: in another process, at another time, and on a cluster."""

import sys
from pathlib import Path

import pytest

from switchpoint.provenance.digests import ROOT
from tests.support import output
from tests.trained import photos, train


@pytest.fixture(scope="module")
def _shallow() -> None:
    """The whole network: the other process has it."""


def test_equal_trainings_give_equal_model_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = str(photos(tmp_path / "photos"))
    train(tmp_path / "first", dataset)
    # Started as a program, it gets its parameters as a cluster hands them over.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    output(sys.executable, "-m", "tests.trained", tmp_path / "second", dataset)
    for step in ("transfer", "finetune"):
        first, second = (tmp_path / run / step / "0b5e1f9c/model/model.keras" for run in ("first", "second"))
        assert first.read_bytes() == second.read_bytes(), step
    assert (tmp_path / "first/transfer/0b5e1f9c/model/model.keras").read_bytes() != first.read_bytes()
