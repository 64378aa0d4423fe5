from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import lab, prepared, transfers
from bench.comparisons import comparisons
from bench.prepared import LAB, set_up
from switchpoint.training.backbones.build import build
from tests.shallow import shallow

pytestmark = pytest.mark.slow


@pytest.fixture
def directory(folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the benchmark measures on, with few photos, of 32 pixels, two switch epochs and a shallow network."""
    ours = transfers.our_parameters
    monkeypatch.setattr(transfers, "our_parameters", lambda *given, **more: ours(*given, **more) | {"weights": "none"})
    monkeypatch.setattr(lab, "build", lambda name, _, size: build(name, "none", size))
    for module in (prepared, transfers):
        monkeypatch.setattr(module, "TRANSFER_SIZE", 32)
    monkeypatch.setattr(transfers, "LAB", LAB | {"switch_epochs": [1, 2]})
    monkeypatch.setattr(transfers, "EPOCHS", 2)
    monkeypatch.setattr(transfers, "FINETUNE_EPOCHS", 1)
    (tmp_path / "prepared").mkdir()
    set_up(folder(cake=10, soup=10), tmp_path / "prepared")
    with shallow():
        yield tmp_path / "prepared"


@pytest.mark.filterwarnings("ignore::UserWarning")  # as bench.pairs does: the lab's `fit` is warned
def test_whole_sweeps_train_transfer_once_and_fine_tune_from_every_start(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    once = lab.transfer
    monkeypatch.setattr(lab, "transfer", lambda *given: trained.append(given[-2]) or once(*given))
    assert transfers.lab_whole_sweep(directory, 1).value > 0
    assert trained == [2]
    lab_files = {path.name for path in (directory / "lab-whole-sweep").glob("*.keras")}
    assert lab_files == {"epoch-01.keras", "epoch-02.keras", "from-epoch-01.keras", "from-epoch-02.keras"}

    assert transfers.ours_whole_sweep(0, directory, 1).value > 0
    ours = {path.name for path in (directory / "ours-whole-sweep-0").glob("*.keras")}
    assert ours == {"model.keras", "from-1.keras", "from-2.keras"}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_labs_fine_tuning_moves_the_backbone_but_not_its_batch_statistics(directory: Path) -> None:
    import keras
    import numpy as np

    out = transfers.fresh(directory / "out")
    transfers.the_lab(directory, out, 1, 1)
    tuned = lab.finetune(lab.checkpoint(out, 1), directory / "lab", out, 2, 32, 1, 1).get_layer("backbone")
    start = keras.models.load_model(lab.checkpoint(out, 1)).get_layer("backbone")
    moved = {
        before.path: not np.array_equal(before.numpy(), after.numpy())
        for before, after in zip(start.weights, tuned.weights, strict=True)
    }
    assert any(changed for path, changed in moved.items() if "conv" in path)
    assert not any(changed for path, changed in moved.items() if "_bn/" in path)


def test_with_prepare_the_records_are_made_in_the_time(directory: Path) -> None:
    measured = transfers.ours_with_prepare(2, directory, 1)
    assert measured.value > 0 and measured.accuracy is not None
    assert (directory / "ours-with-prepare-2" / "records" / "manifest.json").is_file()


def test_fair_rows_have_baselines_of_their_own() -> None:
    baselines = {name: comparison.baseline for comparison in comparisons() for name in comparison.ours}
    assert baselines["sweep_transfer"] == baselines["sweep_transfer_views_4"] == transfers.lab_sweep
    assert baselines["sweep_transfer_once"] == baselines["sweep_transfer_once_views_4"] == transfers.lab_once
    assert baselines["whole_sweep"] == baselines["whole_sweep_views_4"] == transfers.lab_whole_sweep
    assert baselines["transfer_views_4_with_prepare"] == baselines["transfer_views_4"] == transfers.lab_once
