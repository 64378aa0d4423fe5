from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.better.candidates import Candidate, Settings
from bench.better.cells import Cell, Results
from bench.better.folds import FOLDS, write_folds
from bench.better.report import best_of, gain, interval, markdown, table
from bench.better.trainings import enlarged
from bench.prepared import prepare_records
from components.finetune.step import FinetuneConfig
from components.transfer.step import TransferConfig
from switchpoint.command.parameters import candidate, config

SETTINGS = Settings(
    switch_epochs=(1, 8), transfer_epochs=8, finetune_epochs=4, image_size=128, batch_size=32, seeds=(1,)
)
BASE, OTHER = Candidate(learning_rate=1e-4), Candidate(learning_rate=1e-3)


def test_folds_share_no_photo_and_no_test_photo_enters(official: Callable[..., Path], tmp_path: Path) -> None:
    dataset = official("soup", "cake")
    train, test = ((dataset / "meta" / f"{split}.txt").read_text().split() for split in ("train", "test"))
    held_out: list[str] = []
    for folder in write_folds(dataset, tmp_path / "folds"):
        learnt, tried = ((folder / "meta" / f"{split}.txt").read_text().split() for split in ("train", "test"))
        assert sorted(learnt + tried) == sorted(train)
        linked = {f"{path.parent.name}/{path.stem}" for path in (folder / "images").rglob("*.jpg")}
        assert linked == set(train) and not linked & set(test)
        held_out += tried
    assert sorted(held_out) == sorted(train)


def test_prepare_reads_a_fold_as_it_stands(official: Callable[..., Path], tmp_path: Path) -> None:
    folder = write_folds(official("soup", "cake"), tmp_path / "folds")[0]
    splits = prepare_records(folder, tmp_path / "records", image_size=32, validation_fraction=0.5)["splits"]
    assert sum(split["photos"] for split in splits.values()) == 8
    assert splits["test"]["photos"] == len((folder / "meta" / "test.txt").read_text().split())


def test_a_candidate_is_named_by_what_it_changes() -> None:
    assert str(BASE) == "learning rate 0.0001"
    assert str(Candidate(learning_rate=3e-4, label_smoothing=0.1)) == "learning rate 0.0003, label smoothing 0.1"
    assert BASE.alone != Candidate(label_smoothing=0.1).alone


def test_a_candidate_decides_its_steps_parameters_and_the_settings_all_others() -> None:
    values = SETTINGS.parameters(Candidate(learning_rate=1e-3, warmup=0.2, label_smoothing=0.1, blocks=8), seed=5)
    finetuned = config(FinetuneConfig, "finetune", candidate(values, 8))
    assert (finetuned.learning_rate, finetuned.warmup, finetuned.label_smoothing) == (1e-3, 0.2, 0.1)
    assert (finetuned.epochs, finetuned.blocks, finetuned.batch_size, finetuned.seed) == (4, 8, 32, 5)
    transferred = config(TransferConfig, "transfer", values)
    assert (transferred.epochs, transferred.image_size, transferred.label_smoothing) == (8, 128, 0.1)
    # A new view in every epoch, so that enlarged crops compete with what the others saw; to the bit on any machine.
    assert (transferred.feature_views, transferred.mixed_precision) == (0, "off")


def test_the_interval_is_of_paired_differences() -> None:
    differences = np.array([1.0, 0, 0, -1] * 25)
    mean, low, high = interval(differences)
    assert mean == 0
    assert (low, high) == (pytest.approx(-1.96 * np.sqrt(50 / 99) / 10), pytest.approx(1.96 * np.sqrt(50 / 99) / 10))


def _fill(results: Results, name: str, switch_epoch: int, correct: int, diverged: object = None) -> None:
    """Four photos a fold, of which so many are right."""
    evaluation = {"labels": [0] * 4, "predicted": [0] * correct + [1] * (4 - correct), "loss": 1.0}
    for fold in range(1, FOLDS + 1):
        cell: Cell = {"fold": fold, "seed": 1, "switch_epoch": switch_epoch, "candidate": name}
        results.add(cell, evaluation, {"diverged": diverged}, 1.0)


def test_results_are_found_again_but_not_those_of_other_settings(tmp_path: Path) -> None:
    _fill(Results(tmp_path / "cells", SETTINGS), str(BASE), 1, 3)
    cell: Cell = {"fold": 1, "seed": 1, "switch_epoch": 1, "candidate": str(BASE)}
    again = Results(tmp_path / "cells", SETTINGS)
    assert again.find(cell)
    np.testing.assert_array_equal(again.photos(str(BASE), 1), [1, 1, 1, 0] * FOLDS)
    assert not again.find({**cell, "fold": 4})
    assert Results(tmp_path / "cells", Settings(**vars(SETTINGS) | {"seeds": (1, 2)})).find(cell)
    assert not Results(tmp_path / "cells", Settings(**vars(SETTINGS) | {"image_size": 64})).find(cell)


def test_the_table_compares_photo_by_photo_and_the_best_never_diverged(tmp_path: Path) -> None:
    results = Results(tmp_path / "cells", SETTINGS)
    _fill(results, BASE.alone, 0, 2)
    for epoch in (1, 8):
        _fill(results, str(BASE), epoch, 3)
        _fill(results, str(OTHER), epoch, 4, {"epoch": 1, "step": 3, "learning_rate": 1e-3} if epoch == 8 else None)
    assert best_of(results, [BASE, OTHER], SETTINGS) == BASE
    assert gain(results, str(OTHER), str(BASE), (1, 8))[0] == pytest.approx(0.25)
    rows = table(results, [BASE, OTHER, Candidate(warmup=0.5)], BASE, SETTINGS)
    assert [row["candidate"] for row in rows] == [str(BASE), str(OTHER)]  # the third has not run
    assert rows[0]["starts"][1]["gain_over_transfer"][0] == pytest.approx(0.25)
    lines = markdown(rows, BASE, SETTINGS).splitlines()
    assert lines[2].startswith("| learning rate 0.0001 | 75.0 % | 1.000 | +25.0 [") and lines[2].endswith("| – | 0 |")
    assert lines[3].endswith("| 3 |")


def test_enlarged_crops_are_parts_of_the_photo_and_repeat_by_seed() -> None:
    import tensorflow as tf

    ramp = np.broadcast_to(np.arange(16, dtype="float32")[None, None, :, None], (8, 16, 16, 3))
    batches = tf.data.Dataset.from_tensors((ramp, np.eye(8, dtype="float32"))).repeat(2)
    first, again, other = ([images.numpy() for images, _ in enlarged(batches, 0.25, seed)] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1]) and not np.array_equal(first[0], other[0])
    assert first[0].shape == ramp.shape and first[0].min() >= 0 and first[0].max() <= 15
    # Left to right it still rises, over a part of the width of at least √(0.25 · 3/4).
    widths = first[0][:, 0, -1, 0] - first[0][:, 0, 0, 0]
    assert (widths >= 15 * np.sqrt(0.25 * 3 / 4) - 1e-3).all() and widths.min() < 12
