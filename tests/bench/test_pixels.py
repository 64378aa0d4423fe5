from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.pixels.cells import Cells
from bench.pixels.heads import Answers, Given, answers, train
from bench.pixels.photos import Network, flip_rotate_as_keras, originals, pixels
from bench.pixels.report import by_chance, changes, crossed, markdown
from bench.pixels.sources import CHANGES, LAB, OURS, SOURCES
from bench.prepared import prepare_records

SIZE, SEED = 32, 3


@pytest.fixture
def photos(folder: Callable[..., Path]) -> Path:
    return folder(cake=10, soup=10)


@pytest.fixture
def records(photos: Path, tmp_path: Path) -> Path:
    prepare_records(photos, tmp_path / "records", image_size=SIZE, seed=1)
    return tmp_path / "records"


def centre(images: np.ndarray) -> np.ndarray:
    top, left = ((side - SIZE + 1) // 2 for side in images.shape[1:3])
    return images[:, top : top + SIZE, left : left + SIZE]


def test_our_pixels_are_those_that_training_reads(photos: Path, records: Path) -> None:
    from switchpoint.training.batches import plain_batches

    splits, sizes = originals(photos, records)
    for split, source in {"train": OURS, "validation": OURS, "test": "q97"}.items():
        read = np.concatenate([images for images, _ in plain_batches(records, split, 8)])
        np.testing.assert_array_equal(centre(pixels(SOURCES[source], splits[split], sizes)), read)


def test_the_labs_pixels_are_those_of_its_batches(photos: Path, records: Path, tmp_path: Path) -> None:
    from bench import lab

    splits, sizes = originals(photos, records)
    test = splits["test"]
    lab.write_records(tmp_path / "lab.tfrecord", zip(test.files, test.labels, strict=True))
    read = np.concatenate([images for images, _ in lab.batches(tmp_path / "lab.tfrecord", 2, SIZE, training=False)])
    whole = pixels(SOURCES[LAB], test, sizes)
    assert whole.dtype == np.float32
    top, left = ((side - SIZE) // 2 for side in whole.shape[1:3])  # as bench/lab.py rounds
    np.testing.assert_array_equal(whole[:, top : top + SIZE, left : left + SIZE], read)


def test_every_source_gives_about_the_same_photo_and_none_the_very_same(photos: Path, records: Path) -> None:
    splits, sizes = originals(photos, records)
    found = {name: pixels(source, splits["test"], sizes).astype(float) for name, source in SOURCES.items()}
    for change in CHANGES:
        one, other = found[change.source], found[change.against]
        assert one.shape == other.shape == (len(splits["test"].files), sizes.height, sizes.width, 3)
        assert np.abs(one - other).mean() < 30, change
        assert (one != other).any() == (not SOURCES[change.source].keras_rotation), change


def test_keras_turns_as_we_do() -> None:
    from switchpoint.training.augmentation import flip_rotate

    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (8, 20, 24, 3)).astype("float32")
    flip, angle = random.uniform(size=(2, 8)).astype("float32")
    ours, keras = (turn(images, flip, angle, 0.04).numpy() for turn in (flip_rotate, flip_rotate_as_keras))
    assert len(set(flip < 0.5)) == 2
    np.testing.assert_allclose(ours, keras, atol=0.05)


def test_on_our_pixels_a_head_is_the_transfer_steps(
    photos: Path, records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    from components.transfer.step import Outputs, TransferConfig, transfer
    from switchpoint.command import parameters
    from switchpoint.training import checkpoints, loop
    from switchpoint.training.augmentation import draws
    from switchpoint.training.backbones.build import build
    from switchpoint.training.backbones.table import LITE0
    from switchpoint.training.streams import stream

    changed = {"backbone": LITE0, "image_size": SIZE, "seed": SEED, "feature_views": 2, "transfer_epochs": 3}
    values = parameters.resolve("lab", changed | {"switch_epochs": [1]})
    names = ("checkpoints", "model.keras", "history.json", "logs", "pretrained.json", "reference")
    transfer(
        records, Outputs(*(tmp_path / name for name in names)), parameters.config(TransferConfig, "transfer", values)
    )
    _, head = checkpoints.load(tmp_path / "checkpoints", 3)

    splits, sizes = originals(photos, records)
    network = Network(sizes.crop)
    whole = {name: pixels(SOURCES[OURS], split, sizes) for name, split in splits.items()}
    own = stream(SEED, "transfer")
    drawn = [draws(own, tf.constant(view, tf.int64), len(whole["train"])).numpy() for view in (1, 2)]
    views = np.stack([network.view(whole["train"], each, keras_rotation=False) for each in drawn])
    seen = Given(views, splits["train"].labels, network.centre(whole["validation"]), splits["validation"].labels, own)
    begin = loop.deterministic
    # The step builds its backbone first: the head's first weights are drawn after the backbone's.
    monkeypatch.setattr(loop, "deterministic", lambda seed: (begin(seed), build(LITE0, "imagenet", SIZE)))
    kernel, bias = train(network.backbone, seen, epochs=3)
    trained = head.get_layer("classes")
    np.testing.assert_allclose(kernel, trained.kernel.numpy(), atol=1e-3)  # the step keeps features in float16
    np.testing.assert_allclose(bias, trained.bias.numpy(), atol=1e-3)


def test_answers_are_of_the_softmax() -> None:
    kernel, bias = np.eye(2), np.array([0.0, 1.0])
    found = answers(kernel, bias, np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([0, 0]))
    assert found["correct"] == [1, 0]
    assert found["loss"] == [pytest.approx(np.log(1 + np.exp(-1)), abs=1e-5), pytest.approx(np.log(1 + np.e), abs=1e-5)]


def fill(cells: Cells, source: str, right: int) -> None:
    """Of ten photos: so many right, and one more with the second seed."""
    for seed in (1, 2):
        correct = [1] * (right + seed - 1) + [0] * (11 - right - seed)
        said: Answers = {"correct": correct, "loss": [1.0 - each for each in correct]}
        cells.add(seed, source, dict.fromkeys(SOURCES, said))


def test_the_tables_compare_seed_by_seed_and_only_what_was_trained(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "cells.jsonl", {"epochs": 1})
    fill(cells, LAB, 5)
    fill(cells, OURS, 7)
    again = Cells(tmp_path / "cells.jsonl", {"epochs": 1})
    assert again.has(1, LAB) and not again.has(3, LAB) and not Cells(again.file, {"epochs": 2}).has(1, LAB)
    (row,) = changes(again, [1, 2, 3])  # of the third there is none, nor of other sources
    assert row.seeds == 2
    assert row.points == (pytest.approx(20), pytest.approx(20), pytest.approx(20))
    assert row.points_of_photos.low < 20 < row.points_of_photos.high
    assert row.loss.mean == pytest.approx(-0.2)
    assert markdown([row], "what").splitlines()[2].split(" | ")[2:4] == ["+20.00", "[+20.00, +20.00]"]
    assert [each.points.mean for each in crossed(again, [1, 2])] == [pytest.approx(20), 0, pytest.approx(20)]


def test_two_halves_of_the_same_seeds_lie_apart_by_chance() -> None:
    assert sorted(by_chance([1.0, 2.0, 3.0, 4.0])) == [0, 0, 1, 1, 2, 2]
