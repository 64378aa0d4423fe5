from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from switchpoint.errors import ParameterError, WeightsError
from switchpoint.training import saved_model
from switchpoint.training.backbones.blocks import freeze
from switchpoint.training.backbones.build import build, network
from switchpoint.training.backbones.table import LITE0, Preprocessing, local_weights, named
from switchpoint.training.checkpoints import variables_digest
from tests.switchpoint.training.backbones.networks import photos, publish

pytestmark = pytest.mark.slow


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(ParameterError, match=r"'b7'.*efficientnet_lite0, efficientnet_b0, .*resnet50_v2"):
        build("b7", "none", 32)


def test_an_image_too_small_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"image_size=31: efficientnet_lite0 takes 32 or more"):
        build(LITE0, "none", 31)


def test_a_file_of_weights_gives_what_imagenet_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = build("efficientnet_b0", "none", 32)
    publish(saved)
    saved.save_weights(tmp_path / "b0.weights.h5")
    saved.save(tmp_path / "b0.keras")
    saved.save(tmp_path / "b0.h5")
    monkeypatch.setattr(keras.utils, "get_file", lambda *_, **__: str(tmp_path / "b0.h5"))
    for weights in ("imagenet", str(tmp_path / "b0.weights.h5"), str(tmp_path / "b0.keras")):
        backbone = build("efficientnet_b0", weights, 32)
        assert variables_digest(backbone) == variables_digest(saved)
        np.testing.assert_array_equal(backbone(photos(1), training=False), saved(photos(1), training=False))


def test_weights_as_keras_own_network_saves_them_are_taken(tmp_path: Path) -> None:
    """In the order of its layers, whatever their names: what is downloaded by hand is such a file."""
    theirs = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))
    for file in ("keras.weights.h5", "keras.keras", "keras.h5"):
        (theirs.save_weights if file.endswith(".weights.h5") else theirs.save)(tmp_path / file)
        ours = build("mobilenet", str(tmp_path / file), 32)
        for mine, its in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, its)


def test_weights_without_a_hash_are_not_downloaded() -> None:
    with pytest.raises(WeightsError, match="of mobilenet_v2 without a hash"):
        build("mobilenet_v2", "imagenet", 32)


# A usual one; one whose layers get their block's name; one with networks and unnamed variables inside.
@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet", "convnext_tiny"])
def test_two_builds_agree_and_so_does_what_is_loaded(name: str, tmp_path: Path) -> None:
    builds = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        builds.append(build(name, "none", 32))
    assert builds[0].get_config() == builds[1].get_config()
    assert variables_digest(builds[0]) == variables_digest(builds[1])
    assert variables_digest(build(name, "none", 32)) != variables_digest(builds[0])
    freeze(builds[0])
    builds[0].save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)
    assert variables_digest(loaded) == variables_digest(builds[0])
    assert saved_model.digest(loaded) == saved_model.digest(builds[0])
    assert not loaded.trainable_weights


@pytest.mark.parametrize("preprocessing", [Preprocessing.TF, Preprocessing.TORCH, Preprocessing.CAFFE])
def test_preprocessing_is_numbered_anew_and_survives_a_file_in_safe_mode(
    preprocessing: Preprocessing, tmp_path: Path
) -> None:
    row = replace(named("mobilenet"), preprocessing=preprocessing)
    backbone = network(row, 32)
    assert backbone.get_config() == network(row, 32).get_config()
    backbone.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(photos(2), training=False), backbone(photos(2), training=False))


def test_without_a_network_the_error_says_that_a_file_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_file(*_arguments: object, **_options: object) -> None:
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    with pytest.raises(
        WeightsError, match=r"URL fetch failure.*fetch https://\S+/efficientnetb0_notop.h5 .*as weights"
    ):
        build("efficientnet_b0", "imagenet", 32)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    for suffix, save in ((".weights.h5", other.save_weights), (".keras", other.save)):
        save(tmp_path / f"other{suffix}")
        with pytest.raises(WeightsError, match=r"does not hold the weights of efficientnet_lite0 without its top"):
            build(LITE0, str(tmp_path / f"other{suffix}"), 32)
    with pytest.raises(WeightsError, match="Only efficientnet_lite0 reads PyTorch's weights"):
        build("efficientnet_b0", str(local_weights("imagenet")), 32)
