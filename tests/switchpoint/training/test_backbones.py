import hashlib
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from switchpoint.errors import ParameterError, WeightsError
from switchpoint.training.backbones import build as backbones

# Keras' saving with NumPy 2.4, in keras/src/backend/tensorflow/core.py
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

FOOD101 = Path(__file__).parents[3] / "shared" / "data" / "food101-mini"
LITE0 = "efficientnet_lite0"
# One network of each family. All but ResNet's are pass-through: Keras has the preprocessing inside.
PREPROCESS = {
    "efficientnet_b0": keras.applications.efficientnet.preprocess_input,
    "efficientnet_v2_b0": keras.applications.efficientnet_v2.preprocess_input,
    "mobilenet_v3_large": keras.applications.mobilenet_v3.preprocess_input,
    "resnet50_v2": keras.applications.resnet_v2.preprocess_input,
}


def images(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype("float32")


@pytest.fixture
def lite0() -> keras.Model:
    return backbones.build(LITE0, "imagenet", 32)


def lite0_file() -> Path:
    return backbones._weights_file(LITE0, "imagenet")


# Names and digests


def test_names_and_digests_need_no_keras() -> None:
    code = (
        "import sys; from switchpoint.training.backbones.build import BACKBONES, weights_digest\n"
        "for name in BACKBONES: print(weights_digest(name, 'imagenet'))\n"
        "sys.exit(bool({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert len(set(lines)) == len(lines) == len(backbones.BACKBONES)


def test_a_files_digest_is_of_its_bytes() -> None:
    sha256 = hashlib.sha256(lite0_file().read_bytes()).hexdigest()
    assert backbones.weights_digest(LITE0, "imagenet") == sha256
    assert backbones.weights_digest("efficientnet_b0", str(lite0_file())) == sha256


def test_no_weights_have_one_digest_and_a_missing_file_none() -> None:
    assert backbones.weights_digest(LITE0, "none") == backbones.weights_digest("resnet50_v2", "none")
    with pytest.raises(WeightsError, match=r"'imagenet', 'none' or a file. There is no file 'nowhere\.h5'"):
        backbones.weights_digest(LITE0, "nowhere.h5")


@pytest.mark.parametrize(
    "call", [lambda: backbones.build("b7", "none", 32), lambda: backbones.weights_digest("b7", "")]
)
def test_an_unknown_name_lists_the_names(call) -> None:
    with pytest.raises(ParameterError, match=r"'b7'.*efficientnet_lite0, efficientnet_b0, .*resnet50_v2"):
        call()


def test_an_image_too_small_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"32 or more.*Received: 31"):
        backbones.build(LITE0, "none", 31)


# Keras' networks


def published_normalization(backbone: keras.Model) -> None:
    """What Keras publishes for EfficientNet: fresh, the layer does nothing and would hide a mistake."""
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.set_weights([np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.array(0)])
            layer.finalize_state()


@pytest.mark.filterwarnings("ignore:`input_shape` is undefined or non-square:UserWarning")
@pytest.mark.parametrize("name", PREPROCESS)
def test_ours_is_keras_network_with_its_published_weights_and_preprocessing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras builds it for "imagenet", with our file instead of the download: same layers, same outputs."""
    backbone = backbones.build(name, "none", 32)
    published_normalization(backbone)
    backbone.save_weights(tmp_path / "ours.weights.h5")
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(tmp_path / "ours.weights.h5"))
    function = getattr(keras.applications, backbones._KERAS[name].function)
    theirs = function(include_top=False, weights="imagenet", input_shape=(32, 32, 3))

    photos = images(2, 32)
    expected = theirs(PREPROCESS[name](photos.copy()), training=False).numpy()
    outputs = backbone(photos, training=False).numpy()
    assert backbone.name == "backbone"
    assert outputs.shape == (2, 1, 1, backbone.output_shape[-1])
    assert outputs.std() > 0
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())

    groups = backbones.blocks(backbone)
    assert sorted(layer.name for group in groups for layer in group) == sorted(layer.name for layer in backbone.layers)
    assert len(groups) >= 17
    assert groups[0][0].name == "images"
    assert len(groups[-1]) <= 3


@pytest.mark.filterwarnings("ignore:`input_shape` is undefined or non-square:UserWarning")
@pytest.mark.parametrize("name", backbones._KERAS)
def test_the_table_is_keras_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    application = backbones._KERAS[name]

    def get_file(_name: str, url: str, *, file_hash: str, **_options: object) -> None:
        raise FileNotFoundError(f"{url} {file_hash}")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(FileNotFoundError, match=f"^{application.url} {application.md5}$"):
        getattr(keras.applications, application.function)(include_top=False, input_shape=(32, 32, 3))


def test_a_file_of_weights_gives_what_imagenet_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = backbones.build("efficientnet_b0", "none", 32)
    published_normalization(saved)
    saved.save_weights(tmp_path / "b0.weights.h5")
    saved.save(tmp_path / "b0.keras")
    saved.save(tmp_path / "b0.h5")
    monkeypatch.setattr(keras.utils, "get_file", lambda *_, **__: str(tmp_path / "b0.h5"))
    for weights in ("imagenet", str(tmp_path / "b0.weights.h5"), str(tmp_path / "b0.keras")):
        backbone = backbones.build("efficientnet_b0", weights, 32)
        assert backbones.digest(backbone) == backbones.digest(saved)
        np.testing.assert_array_equal(backbone(images(1, 32), training=False), saved(images(1, 32), training=False))


def test_two_builds_agree() -> None:
    builds = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        builds.append(backbones.build("mobilenet_v3_large", "none", 32))
    assert builds[0].get_config() == builds[1].get_config()
    assert backbones.digest(builds[0]) == backbones.digest(builds[1])
    assert backbones.digest(backbones.build("mobilenet_v3_large", "none", 32)) != backbones.digest(builds[0])


def test_without_a_network_the_error_says_that_a_file_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_file(*_arguments: object, **_options: object) -> None:
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    with pytest.raises(
        WeightsError, match=r"URL fetch failure.*fetch https://\S+/efficientnetb0_notop.h5 .*as weights"
    ):
        backbones.build("efficientnet_b0", "imagenet", 32)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    for suffix, save in ((".weights.h5", other.save_weights), (".keras", other.save)):
        save(tmp_path / f"other{suffix}")
        with pytest.raises(WeightsError, match=r"does not hold the weights of efficientnet_lite0 without its top"):
            backbones.build(LITE0, str(tmp_path / f"other{suffix}"), 32)
    with pytest.raises(WeightsError, match="Only efficientnet_lite0 reads PyTorch's weights"):
        backbones.build("efficientnet_b0", str(lite0_file()), 32)


# EfficientNet-Lite0


def test_lite0_takes_raw_pixels(lite0: keras.Model) -> None:
    features = lite0(images(2, 32), training=False).numpy()
    assert features.shape == (2, 1, 1, 1280)
    assert features.min() == 0
    assert 1 < features.max() <= 6  # ReLU6
    stem = keras.Model(lite0.inputs[0], lite0.get_layer("rescaling").output)
    np.testing.assert_array_equal(stem(np.full((1, 32, 32, 3), 255.0))[0, 0, 0], [1.0, 1.0, 1.0])
    assert lite0.count_params() == 3_413_024


def test_lite0_survives_a_file_in_safe_mode(lite0: keras.Model, tmp_path: Path) -> None:
    lite0.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(images(2, 32), training=False), lite0(images(2, 32), training=False))
    assert backbones.digest(loaded) == backbones.digest(lite0)
    assert backbones.digest(backbones.build(LITE0, str(tmp_path / "backbone.keras"), 64)) == backbones.digest(lite0)


def test_the_digest_sees_one_changed_number(lite0: keras.Model) -> None:
    before = backbones.digest(lite0)
    assert backbones.digest(backbones.build(LITE0, str(lite0_file()), 64)) == before
    bias = lite0.get_layer("top_bn").beta
    bias.assign(bias + np.eye(1, 1280)[0] * 1e-3)
    assert backbones.digest(lite0) != before


@pytest.mark.food101
def test_lite0_names_imagenet_photos(tmp_path: Path) -> None:
    """With ImageNet's own classifier. Measured: pizza 0.96, ice cream 0.56; symmetric padding gives 0.84 and 0.32."""
    if not FOOD101.is_dir():
        pytest.skip("no Food-101 photos in ../shared/data/food101-mini")
    backbone = backbones.build(LITE0, "imagenet", 224)
    classifier = backbones._read_pytorch(lite0_file())
    test = (FOOD101 / "meta" / "test.txt").read_text().split()
    for food, imagenet_class, least in (("pizza", 963, 0.9), ("ice_cream", 928, 0.5)):
        photos = np.stack([centre(FOOD101 / "images" / f"{photo}.jpg") for photo in test if photo.startswith(food)])
        features = backbone.predict(photos, verbose=0).mean(axis=(1, 2))
        predicted = (features @ classifier["_fc.weight"].T + classifier["_fc.bias"]).argmax(axis=1)
        assert np.mean(predicted == imagenet_class) >= least


def centre(path: Path) -> np.ndarray:
    photo = Image.open(path).convert("RGB")
    scale = 256 / min(photo.size)
    photo = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC)
    left, top = (photo.width - 224) // 2, (photo.height - 224) // 2
    return np.asarray(photo.crop((left, top, left + 224, top + 224)), "float32")


# PyTorch's file


def header() -> bytes:
    """The pickles that come before the state dict."""
    return b"".join(pickle.dumps(value, protocol=2) for value in (backbones._PYTORCH_MAGIC, 1001, {}))


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("before", [b"", header()])
def test_a_malicious_pickle_is_refused_and_does_nothing(before: bytes, tmp_path: Path) -> None:
    attack = pickle.dumps({"weight": Malicious(tmp_path / "owned")}, protocol=2)
    (tmp_path / "evil.pth").write_bytes(before + attack)
    with pytest.raises(WeightsError, match=r"it asks for (posix|nt)\.mkdir"):
        backbones.build(LITE0, str(tmp_path / "evil.pth"), 32)
    assert not (tmp_path / "owned").exists()
    # The check can fail: a plain load does what it is told.
    pickle.load(io.BytesIO(attack))
    assert (tmp_path / "owned").exists()


@pytest.mark.parametrize("length", [0, 10, 100, 30_000, 60_000, 10_000_000, -1])
def test_a_file_cut_short_is_refused(length: int, tmp_path: Path) -> None:
    (tmp_path / "cut.pth").write_bytes(lite0_file().read_bytes()[:length])
    with pytest.raises(WeightsError, match="not a whole file of weights"):
        backbones.build(LITE0, str(tmp_path / "cut.pth"), 32)


def test_a_tensor_that_reaches_outside_its_storage_is_refused(tmp_path: Path) -> None:
    data = lite0_file().read_bytes()
    strides = b"M\x20\x01K\x60"  # the stem's 288 and 96
    assert strides in data
    (tmp_path / "outside.pth").write_bytes(data.replace(strides, b"M\xff\xffK\x60", 1))
    with pytest.raises(WeightsError, match="strides"):
        backbones.build(LITE0, str(tmp_path / "outside.pth"), 32)


def test_other_tensors_and_pytorchs_newer_format_are_refused(tmp_path: Path) -> None:
    (tmp_path / "zip.pth").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(WeightsError, match="_use_new_zipfile_serialization=False"):
        backbones.build(LITE0, str(tmp_path / "zip.pth"), 32)
    (tmp_path / "empty.pth").write_bytes(header() + pickle.dumps({}, 2) + pickle.dumps([], 2))
    with pytest.raises(WeightsError, match=r"does not hold the weights of efficientnet_lite0.*_conv_stem"):
        backbones.build(LITE0, str(tmp_path / "empty.pth"), 32)


# Freezing


def test_blocks_are_in_order_and_complete(lite0: keras.Model) -> None:
    groups = backbones.blocks(lite0)
    assert [group[-1].name.rpartition("_")[0] for group in groups] == [
        *("stem", "block1a_project", "block2a_project", "block2b", "block3a_project", "block3b"),
        *("block4a_project", "block4b", "block4c", "block5a_project", "block5b", "block5c"),
        *("block6a_project", "block6b", "block6c", "block6d", "block7a_project", "top"),
    ]
    assert [layer for group in groups for layer in group] == lite0.layers


def test_unfreezing_the_last_blocks(lite0: keras.Model) -> None:
    groups = backbones.blocks(lite0)
    backbones.unfreeze(lite0, 2)
    assert [w.path for w in lite0.trainable_weights] == [
        f"{layer}/kernel" for layer in ("block7a_expand_conv", "block7a_dwconv", "block7a_project_conv", "top_conv")
    ]
    before = backbones.digest(lite0)
    backbones.unfreeze(lite0)
    # 49 convolutions, and nothing of the BatchNormalizations
    assert [weight.name for weight in lite0.trainable_weights] == ["kernel"] * 49
    backbones.unfreeze(lite0, len(groups))
    assert len(lite0.trainable_weights) == 49
    backbones.unfreeze(lite0, 1)
    assert len(lite0.trainable_weights) == 1
    backbones.freeze(lite0)
    assert lite0.trainable_weights == []
    assert backbones.digest(lite0) == before
    for wrong in (-1, 19):
        with pytest.raises(ParameterError, match=rf"0 \(all\) to 18.*Received: {wrong}"):
            backbones.unfreeze(lite0, wrong)


def test_nested_batch_normalization_stays_frozen() -> None:
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    outer = keras.Sequential([keras.Input((4,)), keras.Sequential([keras.Input((4,)), inner])])
    backbones.unfreeze(outer)
    assert [weight.name for weight in outer.trainable_weights] == ["kernel", "bias"]


def statistics(backbone: keras.Model) -> dict[str, np.ndarray]:
    return {weight.path: weight.numpy() for weight in backbone.weights if weight.name.startswith("moving_")}


def fit(backbone: keras.Model) -> None:
    inputs = keras.Input(backbone.input_shape[1:])
    features = keras.layers.GlobalAveragePooling2D()(backbone(inputs, training=False))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(features))
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(images(8, 32), np.arange(8) % 3, batch_size=4, epochs=1, verbose=0)


def test_statistics_stand_still_in_fit_and_naively_would_not(lite0: keras.Model) -> None:
    before, kernel = statistics(lite0), lite0.get_layer("stem_conv").kernel.numpy()
    assert len(before) == 2 * 49

    backbones.unfreeze(lite0)
    fit(lite0)
    for path, value in statistics(lite0).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)
    assert (lite0.get_layer("stem_conv").kernel.numpy() != kernel).any()

    backbones.freeze(lite0)
    lite0.trainable = True
    fit(lite0)
    assert all((value != before[path]).any() for path, value in statistics(lite0).items())


def test_a_frozen_backbone_does_not_change_in_fit(lite0: keras.Model) -> None:
    before = backbones.digest(lite0)
    backbones.freeze(lite0)
    fit(lite0)
    assert backbones.digest(lite0) == before
