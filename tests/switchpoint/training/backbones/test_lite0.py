import pickle
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from switchpoint.errors import WeightsError
from switchpoint.training.backbones import pytorch
from switchpoint.training.backbones.build import build
from switchpoint.training.backbones.table import LITE0, local_weights, named
from switchpoint.training.checkpoints import variables_digest
from tests.switchpoint.training.backbones.networks import check_blocks, photos


def test_lite0_takes_raw_pixels(lite0: keras.Model) -> None:
    features = lite0(photos(2), training=False).numpy()
    assert features.shape == (2, 1, 1, 1280)
    assert features.min() == 0
    assert 1 < features.max() <= 6  # ReLU6
    stem = keras.Model(lite0.inputs[0], lite0.get_layer("rescaling").output)
    np.testing.assert_array_equal(stem(np.full((1, 32, 32, 3), 255.0))[0, 0, 0], [1.0, 1.0, 1.0])
    assert lite0.count_params() == 3_413_024


def test_every_layer_is_in_a_block_of_the_right_size(lite0: keras.Model) -> None:
    check_blocks(lite0, named(LITE0).block_pattern)


def test_lite0_survives_a_file_in_safe_mode(lite0: keras.Model, tmp_path: Path) -> None:
    lite0.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(photos(2), training=False), lite0(photos(2), training=False))
    assert variables_digest(loaded) == variables_digest(lite0)
    assert variables_digest(build(LITE0, str(tmp_path / "backbone.keras"), 64)) == variables_digest(lite0)


def test_other_tensors_are_refused(tmp_path: Path) -> None:
    values = (pytorch.MAGIC, 1001, {}, {}, [])
    (tmp_path / "empty.pth").write_bytes(b"".join(pickle.dumps(value, protocol=2) for value in values))
    with pytest.raises(WeightsError, match=r"does not hold the weights of efficientnet_lite0.*_conv_stem"):
        build(LITE0, str(tmp_path / "empty.pth"), 32)


@pytest.mark.food101
def test_lite0_names_imagenet_photos(food101_mini: Path) -> None:
    """With ImageNet's own classifier. Measured: pizza 0.96, ice cream 0.56; symmetric padding gives 0.84 and 0.32."""
    backbone = build(LITE0, "imagenet", 224)
    classifier = pytorch.read(local_weights("imagenet"))
    test = (food101_mini / "meta" / "test.txt").read_text().split()
    for food, imagenet_class, least in (("pizza", 963, 0.9), ("ice_cream", 928, 0.5)):
        crops = np.stack([centre(food101_mini / "images" / f"{photo}.jpg") for photo in test if photo.startswith(food)])
        features = backbone.predict(crops, verbose=0).mean(axis=(1, 2))
        predicted = (features @ classifier["_fc.weight"].T + classifier["_fc.bias"]).argmax(axis=1)
        assert np.mean(predicted == imagenet_class) >= least


def centre(path: Path) -> np.ndarray:
    photo = Image.open(path).convert("RGB")
    scale = 256 / min(photo.size)
    photo = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC)
    left, top = (photo.width - 224) // 2, (photo.height - 224) // 2
    return np.asarray(photo.crop((left, top, left + 224, top + 224)), "float32")
