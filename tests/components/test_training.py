"""transfer, finetune and evaluate on a few small photos, with a small network and real `fit`."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from components.evaluate.corruptions import corrupted
from components.finetune.step import schedule as finetune_schedule
from components.transfer import step as transfer_step
from components.transfer.step import schedule
from switchpoint import storage
from switchpoint.data.manifest import read_manifest
from switchpoint.errors import CheckpointNotFoundError, DamagedModelError, WeightsError
from switchpoint.provenance.digests import file_digest, json_digest
from switchpoint.training import checkpoints, loop, network
from switchpoint.training import saved_model as models
from switchpoint.training.backbones.blocks import blocks
from switchpoint.training.backbones.build import build
from switchpoint.training.backbones.table import named
from switchpoint.training.batches import plain_batches, training_batches
from switchpoint.training.kept import near
from switchpoint.training.state import Training
from switchpoint.training.streams import stream
from tests.components.trainings import EPOCHS, FINETUNE, TRANSFER, evaluated, history, prepared, train, tune

pytestmark = pytest.mark.slow


def test_transfer_keeps_every_epochs_head_and_leaves_the_backbone_as_it_was(transferred: Path) -> None:
    manifest = checkpoints.read(transferred / "checkpoints")
    assert list(manifest["heads"]) == ["1", "2", "3"]
    assert len(set(manifest["heads"].values())) == EPOCHS
    model = keras.models.load_model(transferred / "model" / "model.keras", compile=False)
    loop.deterministic(stream(TRANSFER.seed, "transfer"))
    pretrained = build("efficientnet_lite0", "none", 32)
    for after, before in zip(model.get_layer("backbone").get_weights(), pretrained.get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)


def test_what_the_retries_of_a_download_draw_changes_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "download", lambda *_: str(random.seed()))
    monkeypatch.setattr(transfer_step, "build", lambda *_: random.random())
    monkeypatch.setattr(transfer_step, "freeze", lambda _: None)
    config = replace(TRANSFER, weights="gs://bucket/weights.h5", weights_digest="")
    assert len({transfer_step._pretrained(config, 3) for _ in range(2)}) == 1


def test_a_checkpoint_is_as_small_as_the_head(transferred: Path) -> None:
    _, head = checkpoints.load(transferred / "checkpoints", 1)
    assert (transferred / "checkpoints" / checkpoints.head_file(1)).stat().st_size < 4 * head.count_params() + 20_000


def test_histories_have_an_entry_an_epoch_and_name_the_one_that_is_kept(
    small_records: Path, transferred: Path, finetuned: Path
) -> None:
    for place, epochs in ((transferred, EPOCHS), (finetuned, FINETUNE.epochs)):
        found = history(place)
        assert [row["epoch"] for row in found["epochs"]] == list(range(1, epochs + 1))
        accuracies = [row["val_categorical_accuracy"] for row in found["epochs"]]
        held_out = read_manifest(small_records)["splits"]["validation"]["photos"]
        close = [row for row in found["epochs"] if near(row["val_categorical_accuracy"], max(accuracies), held_out)]
        assert found["best_epoch"] == close[-1]["epoch"]
        assert found["validation_accuracy"] == close[-1]["val_categorical_accuracy"]
        assert found["diverged"] is None


def test_tensorboard_gets_the_labs_graphs(transferred: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for split in ("train", "validation"):
        events = EventAccumulator(str(transferred / "logs" / split), size_guidance={"tensors": 0}).Reload()
        assert {"epoch_categorical_accuracy", "epoch_loss"} <= set(events.Tags()["tensors"])
        assert len(events.Tensors("epoch_loss")) == EPOCHS


def test_finetuning_moves_the_backbone_but_not_the_statistics_of_batch_normalization(
    transferred: Path, finetuned: Path
) -> None:
    before = keras.models.load_model(transferred / "model" / "model.keras", compile=False).get_layer("backbone")
    after = keras.models.load_model(finetuned / "model" / "model.keras", compile=False).get_layer("backbone")
    for old, new in zip(before.layers, after.layers, strict=True):
        same = all(np.array_equal(a, b) for a, b in zip(old.get_weights(), new.get_weights(), strict=True))
        assert same is (isinstance(old, keras.layers.BatchNormalization) or not old.weights), old.name


def test_finetuning_starts_where_the_checkpoint_was(small_records: Path, transferred: Path) -> None:
    backbone, head = checkpoints.load(transferred / "checkpoints", 2)
    model = network.join(backbone, head)
    loop.compile_model(model, 0.1, 0.0)
    loss, accuracy = model.evaluate(plain_batches(small_records, "validation", 8), verbose=0)
    row = history(transferred)["epochs"][1]
    assert loss == pytest.approx(row["val_loss"], rel=1e-5)
    assert accuracy == pytest.approx(row["val_categorical_accuracy"])


def test_only_the_last_blocks_move_when_so_asked(small_records: Path, transferred: Path, tmp_path: Path) -> None:
    tune(small_records, transferred, tmp_path, replace(FINETUNE, blocks=1, epochs=1))
    before = keras.models.load_model(transferred / "model" / "model.keras", compile=False).get_layer("backbone")
    after = keras.models.load_model(tmp_path / "model" / "model.keras", compile=False).get_layer("backbone")
    _stem, first, *_, last = blocks(before, named(TRANSFER.backbone).block_pattern)
    assert all(
        np.array_equal(a, b)
        for layer in first
        for a, b in zip(layer.get_weights(), after.get_layer(layer.name).get_weights(), strict=True)
    )
    assert any(
        not np.array_equal(a, b)
        for layer in last
        for a, b in zip(layer.get_weights(), after.get_layer(layer.name).get_weights(), strict=True)
    )


def test_a_missing_epoch_names_the_saved_ones(small_records: Path, transferred: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match=r"epoch 7 .* Saved epochs: \[1, 2, 3\]"):
        tune(small_records, transferred, tmp_path, replace(FINETUNE, switch_epoch=7))


def test_equal_trainings_give_equal_weights_and_histories(
    small_records: Path, transferred: Path, tmp_path: Path
) -> None:
    digests = train(small_records, tmp_path)
    assert history(tmp_path)["epochs"] == history(transferred)["epochs"]
    assert digests["history"] == json_digest(history(transferred), "seconds")
    assert digests["model"] == history(transferred)["model_digest"]
    assert digests["model"] == models.digest(keras.models.load_model(tmp_path / "model" / "model.keras"))
    first = tune(small_records, transferred, tmp_path / "a")
    assert tune(small_records, tmp_path, tmp_path / "b") == first


def test_fine_tuning_ends_when_it_gets_no_better_for_as_long_as_its_patience(
    small_records: Path, transferred: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At such a rate no epoch is better than the first."""
    tune(small_records, transferred, tmp_path, replace(FINETUNE, learning_rate=1e-12, epochs=5, patience=2))
    assert [row["epoch"] for row in history(tmp_path)["epochs"]] == [1, 2, 3]
    assert "finetune 2: ends early: no higher validation accuracy in 2 epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("accuracies", "patience", "over"),
    [([], 1, False), ([0.5], 1, False), ([0.5, 0.5], 1, True), ([0.5, 0.6, 0.4], 2, False), ([0.6, 0.5, 0.5], 2, True),
     ([0.6, 0.1, 0.1], 0, False), ([0.5, 0.4, 0.6], 1, False)],
)  # fmt: skip
def test_patience_counts_epochs_in_a_row(accuracies: list[float], patience: int, over: bool) -> None:
    rows: Any = [{"val_categorical_accuracy": value} for value in accuracies]
    assert Training([], rows=rows).over(patience) is over


def test_balanced_classes_count_as_much_in_the_loss(folder: Callable[..., Path], tmp_path: Path) -> None:
    """One epoch that changes nothing, without augmentation: its loss is that of the model that it leaves."""
    prepared(tmp_path, folder(cake=8, soup=24))
    counts = read_manifest(tmp_path / "records")["splits"]["train"]["per_class"]
    still = replace(TRANSFER, learning_rate=1e-12, dropout=0.0, feature_views=1, epochs=1)
    for kind in ("none", "balanced"):
        train(tmp_path / "records", tmp_path / kind, replace(still, class_weights=kind))
    model = models.classifier(keras.models.load_model(tmp_path / "none" / "model" / "model.keras"))
    batches = list(plain_batches(tmp_path / "records", "train", 8))
    images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    losses = -np.log((model.predict(images, verbose=0) * labels).sum(axis=1))
    each = losses @ labels / counts  # the mean of each class
    found = [history(tmp_path / kind)["epochs"][0]["loss"] for kind in ("none", "balanced")]
    assert found == pytest.approx([losses.mean(), each.mean()], rel=1e-3)
    assert abs(losses.mean() - each.mean()) > 0.01
    assert loop.class_weights("balanced", [30, 10, 0]) == pytest.approx({0: 4 / 9, 1: 4 / 3, 2: 40 / 3})


def test_zero_is_a_seed(small_records: Path, tmp_path: Path) -> None:
    train(small_records, tmp_path, replace(TRANSFER, seed=0, epochs=1, feature_views=1))
    assert len(history(tmp_path)["epochs"]) == 1


def test_a_loss_that_is_no_number_is_a_result(small_records: Path, transferred: Path, tmp_path: Path) -> None:
    tune(small_records, transferred, tmp_path, replace(FINETUNE, learning_rate=1e38, schedule="constant"))
    found = history(tmp_path)
    assert found["diverged"]["epoch"] == 1
    assert found["diverged"]["learning_rate"] == pytest.approx(1e38)
    assert (found["best_epoch"], found["epochs"]) == (0, [])
    assert found["validation_accuracy"] == history(transferred)["epochs"][1]["val_categorical_accuracy"]
    model = keras.models.load_model(tmp_path / "model" / "model.keras", compile=False)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_mixed_precision_computes_in_float16_all_but_the_softmax(transferred: Path) -> None:
    model = network.join(*checkpoints.load(transferred / "checkpoints", 2))
    loop.compile_model(model, 0.001, 0.0, "on")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    layers = [layer for layer in model._flatten_layers() if layer.weights and not layer._layers]
    assert {layer.compute_dtype for layer in layers if layer.name != "classes"} == {"float16"}
    assert model.get_layer("head").get_layer("classes").compute_dtype == "float32"
    loop.compile_model(model, 0.001, 0.0, "auto")  # there is no GPU here
    assert {layer.compute_dtype for layer in layers} == {"float32"}


def test_weights_that_changed_since_the_start_are_refused(small_records: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="changed since"):
        train(small_records, tmp_path, replace(TRANSFER, weights_digest="0" * 64))


def test_the_labs_schedule_is_the_published_one_at_every_step() -> None:
    lab = schedule(replace(TRANSFER, learning_rate=0.001, first_decay_steps=5000), photos=1)
    # SGDR's equation 5 with a minimum of 0: cycle i has 5000 · 2^i steps and begins at 0.001 · 0.75^i.
    cycles = [
        0.001 * 0.75**cycle * (1 + np.cos(np.pi * np.arange(5000 * 2**cycle) / (5000 * 2**cycle))) / 2
        for cycle in range(4)
    ]
    assert [sum(map(len, cycles[:cycle])) for cycle in (1, 2, 3)] == [5_000, 15_000, 35_000]
    published = np.concatenate(cycles)
    # Single precision; right at a restart Keras' logarithm of the step may lie on either side of it.
    ours = lab(np.arange(len(published), dtype=np.float32)).numpy()
    np.testing.assert_allclose(ours, published, rtol=1e-3, atol=3e-9)


@pytest.mark.parametrize(("kind", "middle", "end"), [("cosine", 0.5, 0.0), ("constant", 1.0, 1.0)])
def test_fine_tuning_warms_up_before_its_schedule(kind: str, middle: float, end: float) -> None:
    # 10 epochs of 4 steps: 8 to rise, 32 to stay or to fall.
    rates = finetune_schedule(replace(FINETUNE, schedule=kind, warmup=0.2, epochs=10, learning_rate=0.5), photos=32)
    shares = [float(rates(step)) / 0.5 for step in (0, 2, 4, 8, 24, 40)]
    assert shares == pytest.approx([0, 0.25, 0.5, 1, middle, end], abs=1e-6)


@pytest.mark.parametrize("kind", ["cosine", "constant"])
@pytest.mark.parametrize(("epochs", "warmup"), [(1, 0.6), (1, 0.99), (2, 0.9)])
def test_a_warm_up_longer_than_fine_tuning_ends_with_its_last_step(kind: str, epochs: int, warmup: float) -> None:
    config = replace(FINETUNE, schedule=kind, warmup=warmup, epochs=epochs, learning_rate=0.5)
    rates = finetune_schedule(config, photos=8)  # one step an epoch
    assert [float(rates(step)) for step in range(epochs)] == pytest.approx([0.0, 0.5][2 - epochs :])


def test_evaluate_counts_what_the_model_gets_right(small_records: Path, finetuned: Path, tmp_path: Path) -> None:
    result = evaluated(small_records, finetuned, tmp_path, 2, robustness="full")
    assert json.loads((tmp_path / "evaluation").read_text()) == result
    labels, predicted = np.array(result["labels"]), np.array(result["predicted"])
    assert result["top_1"] == pytest.approx((labels == predicted).mean())
    assert np.array(result["confusion"]).sum() == result["photos"] == len(labels)
    assert np.trace(np.array(result["confusion"])) == (labels == predicted).sum()
    model = models.classifier(keras.models.load_model(finetuned / "model" / "model.keras"))
    model.compile(loss="categorical_crossentropy", metrics=["categorical_accuracy"])
    loss, accuracy = model.evaluate(plain_batches(small_records, "test", 8), verbose=0)
    assert (result["loss"], result["top_1"]) == (pytest.approx(loss, rel=1e-4), pytest.approx(accuracy))
    _, held_out = model.evaluate(plain_batches(small_records, "validation", 8), verbose=0)
    validation = {name: np.array(each) for name, each in result["validation"].items()}
    assert (validation["labels"] == validation["predicted"]).mean() == pytest.approx(held_out)
    assert held_out == pytest.approx(history(finetuned)["validation_accuracy"])
    assert result["model_digest"] == history(finetuned)["model_digest"]
    robust = result["robustness"]
    assert robust and robust["photos"] == len(labels)
    assert (robust["top_1"], robust["ece"]) == (result["top_1"], result["calibration"]["ece"])
    images = np.concatenate([each for each, _ in plain_batches(small_records, "test", 8)])
    paler = np.stack([corrupted(image, "contrast", 0, 0)[0] for image in images])
    pale = next(row for row in robust["corrupted"] if row["corruption"] == "contrast")
    assert pale["top_1"] == (model.predict(paler, verbose=0).argmax(axis=1) == labels).mean()
    assert {len(result["telling"][kind]) for kind in ("mistakes", "hits")} <= set(range(13))
    assert result["digest"] == json_digest(json.loads((tmp_path / "evaluation").read_text()), "digest", "lineage")
    assert result["model_file"] == file_digest(finetuned / "model" / "model.keras")


def test_a_model_that_is_not_the_one_that_was_trained_is_not_evaluated(
    small_records: Path, transferred: Path, finetuned: Path, tmp_path: Path
) -> None:
    trained = history(finetuned)["model_digest"]
    why = r"model.keras is not the model that was trained: .*Run finetune again: on this machine"
    with pytest.raises(DamagedModelError, match=why):
        evaluated(small_records, transferred, tmp_path, 2, trained)
    assert not (tmp_path / "evaluation").exists()


def test_every_label_is_one_of_the_classes(small_records: Path) -> None:
    for batches in (training_batches(small_records, 8, "lab", 0.04, 1, 2), plain_batches(small_records, "test", 8)):
        labels = np.concatenate([label for _, label in batches.as_numpy_iterator()])
        assert labels.shape[1] == 3
        np.testing.assert_array_equal(labels.sum(axis=1), 1)
        np.testing.assert_array_equal(np.unique(labels), [0, 1])


def test_the_pipelines_of_photos_are_not_autotuned(small_records: Path) -> None:
    # Ending an autotuned pipeline waited for its tuner: up to a minute at the end of each training.
    for batches in (training_batches(small_records, 8, "lab", 0.04, 1, 2), plain_batches(small_records, "test", 8)):
        assert batches.options().autotune.enabled is False
