from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.better.candidates import Candidate, Settings
from bench.better.cells import Cell, Results
from bench.better.folds import FOLDS, folds, write_folds
from bench.better.report import best_of, contrasts, markdown, table
from bench.prepared import prepare_records
from components.finetune.step import FinetuneConfig
from components.transfer.step import TransferConfig
from switchpoint.command.parameters import candidate, config, resolve

SETTINGS = Settings(switch_epochs=(1, 8), transfer_epochs=8, image_size=128, batch_size=32, seeds=(1,))
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


def test_unbalanced_folds_thin_what_is_learnt_from_all_to_a_tenth(tmp_path: Path) -> None:
    classes, photos = ("cake", "pizza", "soup"), range(60)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "classes.txt").write_text("\n".join(classes))
    (tmp_path / "meta" / "train.txt").write_text("\n".join(f"{name}/{photo}" for name in classes for photo in photos))
    for fold, folder in enumerate(write_folds(tmp_path, tmp_path / "folds", unbalanced=True), start=1):
        learnt, tried = ((folder / "meta" / f"{split}.txt").read_text().split() for split in ("train", "test"))
        assert not set(learnt) & set(tried)
        count = [Counter(name.split("/")[0] for name in names) for names in (learnt, tried)]
        assert sorted(count[0].values()) == [4, 13, 40], fold  # of 40: a tenth, 40 / √10, all
        assert list(count[1].values()) == [20, 20, 20]


def test_a_candidate_is_named_by_what_it_changes() -> None:
    assert str(BASE) == "learning rate 0.0001"
    assert str(Candidate(learning_rate=3e-4, warmup=0.0, epochs=20)) == "learning rate 0.0003, warmup 0, epochs 20"
    assert str(Candidate(augmentation="light")) == "learning rate 0.0001, augmentation light"


def test_a_candidate_starts_from_the_transfer_learning_that_shares_its_parameters() -> None:
    assert Candidate(learning_rate=1e-3, blocks=8, layer_decay=0.8, patience=3).alone == BASE.alone == "transfer alone"
    assert Candidate(augmentation="strong").alone == "transfer alone, augmentation strong"
    assert Candidate(class_weights="balanced").alone == "transfer alone, class weights balanced"


def test_a_candidate_decides_its_steps_parameters_and_the_settings_all_others() -> None:
    tried = Candidate(1e-3, warmup=0.1, epochs=4, patience=3, augmentation="light", class_weights="balanced", blocks=8)
    values = SETTINGS.parameters(tried, seed=5)
    finetuned = config(FinetuneConfig, "finetune", candidate(values, 8))
    assert (finetuned.learning_rate, finetuned.warmup, finetuned.patience) == (1e-3, 0.1, 3)
    assert (finetuned.epochs, finetuned.blocks, finetuned.batch_size, finetuned.seed) == (4, 8, 32, 5)
    transferred = config(TransferConfig, "transfer", values)
    assert (transferred.epochs, transferred.image_size) == (8, 128)
    for each in (finetuned, transferred):
        assert (each.augmentation, each.class_weights) == ("light", "balanced")
    # The features are the recipe's, and to the bit on any machine.
    assert (transferred.feature_views, transferred.mixed_precision) == (4, "off")


def test_a_candidate_is_what_better_is_today() -> None:
    today = resolve("better", {})
    changed = {name for name, value in Candidate(learning_rate=3e-4).parameters.items() if value != today[name]}
    assert not changed


def test_contrasts_are_paired_and_wider_where_seeds_differ() -> None:
    base = np.tile([1.0, 0, 0, 0], (3, 25))
    steady, varying = base.copy(), base.copy()
    steady[:, 1::4] = 1
    varying[:, 1::4] = [[1], [0], [1]]
    found = contrasts({"base": base, "steady": steady, "other": base}, [("steady", "base"), ("other", "base")], ())
    mean, low, high = found["steady"]
    assert mean == pytest.approx(0.25) and 0 < low < mean < high
    assert found["other"][1] < 0 < found["other"][2]
    mean, low, high = contrasts({"base": base, "varying": varying}, [("varying", "base")], ())["varying"]
    assert mean == pytest.approx(0.25 * 2 / 3) and low < 0


def _fill(results: Results, name: str, switch_epoch: int, correct: int, diverged: object = None) -> None:
    """Four photos a fold, of which so many are right."""
    evaluation = {"labels": [0] * 4, "predicted": [0] * correct + [1] * (4 - correct), "loss": 1.0}
    for fold in folds():
        cell: Cell = {"fold": fold, "seed": 1, "switch_epoch": switch_epoch, "candidate": name}
        results.add(cell, evaluation, {"diverged": diverged}, 1.0)


def test_results_are_found_again_but_not_those_of_other_settings(tmp_path: Path) -> None:
    _fill(Results(tmp_path / "cells", SETTINGS), str(BASE), 1, 3)
    cell: Cell = {"fold": 1, "seed": 1, "switch_epoch": 1, "candidate": str(BASE)}
    again = Results(tmp_path / "cells", SETTINGS)
    assert again.find(cell)
    np.testing.assert_array_equal(again.right(str(BASE), 1), [[1, 1, 1, 0] * FOLDS])
    assert not again.find({**cell, "fold": 4})
    assert Results(tmp_path / "cells", Settings(**vars(SETTINGS) | {"seeds": (1, 2)})).find(cell)
    assert not Results(tmp_path / "cells", Settings(**vars(SETTINGS) | {"image_size": 64})).find(cell)


def test_a_line_that_another_process_is_writing_is_left_for_later(tmp_path: Path) -> None:
    _fill(Results(tmp_path / "cells", SETTINGS), str(BASE), 1, 3)
    with (tmp_path / "cells").open("a") as file:
        file.write('{"cell": {"fold"')
    assert len(Results(tmp_path / "cells", SETTINGS).rows) == FOLDS


def test_the_table_compares_photo_by_photo_and_the_best_never_diverged(tmp_path: Path) -> None:
    results = Results(tmp_path / "cells", SETTINGS)
    _fill(results, BASE.alone, 0, 2)
    for epoch in (1, 8):
        _fill(results, str(BASE), epoch, 3)
        _fill(results, str(OTHER), epoch, 4, {"epoch": 1, "step": 3, "learning_rate": 1e-3} if epoch == 8 else None)
    assert best_of(results, [BASE, OTHER], SETTINGS) == BASE
    rows = table(results, [BASE, OTHER, Candidate(warmup=0.5)], BASE, SETTINGS)
    assert [row["candidate"] for row in rows] == [str(BASE), str(OTHER)]  # the third has not run
    assert rows[0]["starts"][1]["gain_over_transfer"][0] == pytest.approx(0.25)
    assert rows[0]["gain"] is None
    assert rows[1]["gain"] and rows[1]["gain"][0] == pytest.approx(0.25)
    lines = markdown(rows, BASE, SETTINGS).splitlines()
    assert lines[2].startswith("| learning rate 0.0001 | 75.0 % | 1.000 | +25.0 [") and lines[2].endswith("| – | 0 |")
    assert lines[3].endswith("| 3 |")


def test_an_early_block_moves_less_than_a_late_one_and_the_head_whole() -> None:
    import keras

    from bench.better.layers import LayerDecay, factors

    photos = features = keras.Input((4,))
    for name in ("stem", "block1_dense", "block2_dense"):
        features = keras.layers.Dense(4, name=name)(features)
    backbone = keras.Model(photos, features)
    model = keras.Sequential([backbone, keras.layers.Dense(2, name="head")])
    factor = factors(model, backbone, r"block\d", 0.5)
    assert factor == [0.125] * 2 + [0.25] * 2 + [0.5] * 2 + [1.0] * 2  # a kernel and a bias each
    model.compile(LayerDecay(0.01, factor), "mse")
    before = [variable.numpy() for variable in model.trainable_variables]
    model.train_on_batch(np.ones((3, 4)), np.ones((3, 2)))
    # Adam's first step is the learning rate, whatever the gradient.
    moved = [np.abs(one.numpy() - other).max() for one, other in zip(model.trainable_variables, before, strict=True)]
    assert moved == pytest.approx([0.01 * each for each in factor], rel=1e-2)
