"""Transfer learning on features that were computed once."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from switchpoint.data import records
from switchpoint.data.manifest import read_manifest
from switchpoint.errors import SwitchpointError
from switchpoint.training import checkpoints, features
from switchpoint.training.backbones.blocks import freeze
from switchpoint.training.backbones.build import build
from switchpoint.training.batches import FILES_AT_ONCE, plain_batches
from switchpoint.training.features import Views
from switchpoint.training.network import head
from tests.components.trainings import EPOCHS, TRANSFER, history, prepared, train


@pytest.fixture(scope="module")
def sharded_records(small_records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several files of training photos."""
    place = tmp_path_factory.mktemp("sharded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "PHOTOS_A_SHARD", 5)
        prepared(place, small_records.parent / "dishes")
    assert len(read_manifest(place / "records")["splits"]["train"]["shards"]) > FILES_AT_ONCE
    return place / "records"


@pytest.fixture(scope="module")
def network() -> tuple[Any, Any]:
    """A frozen backbone and a head, as transfer has them."""
    backbone = build("efficientnet_lite0", "none", 32)
    freeze(backbone)
    return backbone, head(backbone, 3, 0.2)


def views(network: tuple[Any, Any], photos: Path, count: int) -> Views:
    return Views(*network, photos, count, count > 1, batch_size=8, augmentation="lab", rotation=0.04, seed=3)


def by_row(array: Any) -> Any:
    return array[np.lexsort(array.T)]


def epochs_of(made: Views, epochs: int) -> Any:
    """Features as training sees them: (epochs, photos, channels)."""
    rows = np.concatenate([batch for batch, _ in made.training_batches(epochs, 1).as_numpy_iterator()])
    return rows.reshape(epochs, -1, rows.shape[-1])


def test_as_many_views_as_epochs_train_as_through_the_backbone(sharded_records: Path, tmp_path: Path) -> None:
    for count in (0, EPOCHS):
        train(sharded_records, tmp_path / str(count), replace(TRANSFER, feature_views=count))
    through, on = (history(tmp_path / str(count)) for count in (0, EPOCHS))
    for row, other in zip(through["epochs"], on["epochs"], strict=True):
        assert other == pytest.approx(row, rel=2e-3)
    for epoch in range(1, EPOCHS + 1):
        (_, head), (_, other) = (
            checkpoints.load(tmp_path / str(count) / "checkpoints", epoch) for count in (0, EPOCHS)
        )
        for weights, others in zip(head.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(others, weights, atol=1e-3)


def test_a_single_epoch_sees_the_first_of_several_views(small_records: Path, tmp_path: Path) -> None:
    for count in (0, 4):
        train(small_records, tmp_path / str(count), replace(TRANSFER, feature_views=count, epochs=1))
    through, on = (history(tmp_path / str(count))["epochs"][0] for count in (0, 4))
    assert on == pytest.approx(through, rel=2e-3)


def test_more_photos_a_step_than_there_are(small_records: Path, tmp_path: Path) -> None:
    train(small_records, tmp_path, replace(TRANSFER, feature_views=2, batch_size=1000, epochs=2))
    assert len(history(tmp_path)["epochs"]) == 2


def test_an_epochs_time_is_that_of_its_view_too(
    small_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Views, "seconds", property(lambda _: [1000.0, 2000.0], lambda *_: None), raising=False)
    train(small_records, tmp_path, replace(TRANSFER, feature_views=2))
    assert [round(seconds, -3) for seconds in history(tmp_path)["seconds"]] == [1000, 2000, 0]


def test_views_come_in_turns_each_epoch_in_another_order(network: tuple[Any, Any], sharded_records: Path) -> None:
    first, second, third = epochs_of(views(network, sharded_records, 2), 3)
    assert not np.array_equal(first, third)
    np.testing.assert_array_equal(by_row(first), by_row(third))
    assert np.abs(by_row(first) - by_row(second)).max() > 0.1


def test_one_view_is_the_centre_crop(network: tuple[Any, Any], small_records: Path) -> None:
    backbone, top = network
    pooled = keras.Model(backbone.input, top.get_layer("pool")(backbone.output))
    expected = pooled.predict(plain_batches(small_records, "train", 8), verbose=0)
    (found,) = epochs_of(views(network, small_records, 1), 1)
    np.testing.assert_allclose(by_row(found), by_row(expected.astype(np.float16)), atol=2e-3)


def test_features_on_disk_are_those_in_memory(
    network: tuple[Any, Any], small_records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = views(network, small_records, 2).features
    monkeypatch.setattr(features, "MEMORY_BYTES", 0)
    on_disk = views(network, small_records, 2).features
    assert isinstance(on_disk, np.memmap)
    assert not isinstance(in_memory, np.memmap)
    np.testing.assert_array_equal(on_disk, in_memory)


def test_a_full_disk_is_said_before_anything_is_computed(
    network: tuple[Any, Any], small_records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "MEMORY_BYTES", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(SwitchpointError, match=r"4 views of \d+ photos .* has 0.0 GB free.* lower feature_views"):
        views(network, small_records, 4)
