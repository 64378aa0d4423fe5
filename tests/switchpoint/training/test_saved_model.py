"""The final model: what Keras alone makes of the file, against prepare and validation."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from switchpoint.command.formats import h5
from switchpoint.command.publish.use import use
from switchpoint.data import photos as images
from switchpoint.data import records
from switchpoint.data.manifest import verify_records
from switchpoint.data.sources import dishes as sample
from switchpoint.errors import SwitchpointError
from switchpoint.provenance.digests import ROOT
from switchpoint.training import network as network_file
from switchpoint.training import saved_model as models
from switchpoint.training.backbones.build import build
from switchpoint.training.batches import plain_batches
from tests.components.trainings import prepared

pytestmark = pytest.mark.slow

MANIFEST: dict[str, Any] = {
    "classes": ["apple pie", "crème/brûlée", "ramen"], "image_size": 32, "image_height": 43, "image_width": 37,
}  # fmt: skip


def classifier(classes: int = 3, image_size: int = 32, weights: str = "none", dropout: float = 0.2) -> Any:
    keras.utils.set_random_seed(5)
    backbone = build("efficientnet_lite0", weights, image_size)
    return network_file.join(backbone, network_file.head(backbone, classes, dropout))


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    models.save(models.complete(classifier(), MANIFEST), path)
    return path


def test_preprocessing_is_prepares_resize_and_validations_crop() -> None:
    model = models.complete(classifier(), MANIFEST)
    pixels = keras.Model(model.input, model.get_layer("centre_crop").output)
    for size in ((43, 37), (77, 99), (20, 31), (300, 400)):
        seen = pixels.predict(photo(*size)[None], verbose=0)[0]
        resized = np.asarray(images.resize(Image.fromarray(photo(*size)), 43, 37), np.float32)
        assert np.abs(seen - resized[6:38, 3:35]).max() <= 0.51  # prepare rounds


def test_a_record_through_the_file_is_its_validation_crop_through_the_network(tmp_path: Path) -> None:
    for dish in list(sample.DISHES)[:3]:
        (tmp_path / "photos" / dish).mkdir(parents=True)
        for number in range(6):
            data = sample.photograph(f"{dish}/train-{number:03d}.jpg")
            (tmp_path / "photos" / dish / f"{number}.jpg").write_bytes(data)
    prepared(tmp_path, tmp_path / "photos")
    model = models.complete(classifier(), verify_records(tmp_path / "records"))
    decoded = [
        keras.ops.convert_to_numpy(_decode(example)) for example in records.dataset(tmp_path / "records", "test")
    ]
    of_file = model.predict(np.stack(decoded), verbose=0)
    inner = models.classifier(model)
    of_network = inner.predict(plain_batches(tmp_path / "records", "test", 8), verbose=0)
    np.testing.assert_allclose(of_file, of_network, atol=1e-6)
    assert np.ptp(of_network, axis=0).max() > 1e-4  # else the photos would make no difference


def _decode(example: dict[str, Any]) -> Any:
    import tensorflow as tf

    return tf.io.decode_jpeg(example["image"], dct_method="INTEGER_ACCURATE")


def run_elsewhere(code: str, place: Path, alone: bool = True) -> str:
    """What a process prints in which this project can't be imported, if it is to be `alone`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = "sys.modules['switchpoint'] = None" if alone else f"sys.path.insert(0, {str(ROOT)!r})"
    code = f"import sys\n{where}\n{code}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", ["README", "card"])
def test_keras_alone_classifies_a_photo_of_any_size(saved: Path, tmp_path: Path, page: str) -> None:
    """With the lines that README shows, and with those of the card, which need nothing of this project."""
    (tmp_path / "classes.json").write_text(json.dumps(MANIFEST["classes"]))
    shutil.copy(saved, tmp_path / "model.keras")
    Image.open(io.BytesIO(sample.photograph("ramen/train-000.jpg"))).resize((331, 217)).save(tmp_path / "photo.jpg")
    readme = re.findall(r"```python\n(import keras\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    shown = readme if page == "README" else use("keras")
    code = f"import keras\nkeras.config.disable_interactive_logging()\n{shown}\nprint(probabilities.tolist())"
    name, probabilities = run_elsewhere(code, tmp_path, alone=page == "card").splitlines()
    assert sum(json.loads(probabilities)) == pytest.approx(1, abs=1e-5)
    assert name == MANIFEST["classes"][np.argmax(json.loads(probabilities))]
    photo = np.asarray(Image.open(tmp_path / "photo.jpg"))[None]
    here = keras.models.load_model(saved, safe_mode=True).predict(photo, verbose=0)[0]
    np.testing.assert_allclose(json.loads(probabilities), here, atol=1e-6)


def test_the_file_names_the_likeliest_class(saved: Path) -> None:
    labels = keras.models.load_model(saved).get_layer("labels")
    _, names = labels(np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]], np.float32))
    assert [name.decode() for name in names.numpy()] == ["crème/brûlée", "apple pie"]


def test_h5_predicts_the_same_and_names_the_classes(saved: Path, tmp_path: Path) -> None:
    import h5py

    h5.write(saved, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.h5"]
    one, other = (keras.models.load_model(path, compile=False) for path in (saved, tmp_path / "model.h5"))
    for size in ((43, 37), (120, 90)):
        np.testing.assert_array_equal(
            one.predict(photo(*size)[None], verbose=0), other.predict(photo(*size)[None], verbose=0)
        )
    with h5py.File(tmp_path / "model.h5") as file:
        assert json.loads(file.attrs["class_names"]) == MANIFEST["classes"]
    (tmp_path / "again").mkdir()
    h5.write(saved, tmp_path / "again")
    # An export can be repeated.
    assert (tmp_path / "again" / "model.h5").read_bytes() == (tmp_path / "model.h5").read_bytes()


def test_a_network_that_keras_cannot_read_back_from_h5_is_refused(tmp_path: Path) -> None:
    backbone = build("mobilenet_v3_large", "none", 32)
    network = network_file.join(backbone, network_file.head(backbone, 3, 0.2))
    models.save(models.complete(network, MANIFEST), tmp_path / "model.keras")
    keras.models.load_model(tmp_path / "model.keras")
    with pytest.raises(SwitchpointError, match="--format keras"):
        h5.write(tmp_path / "model.keras", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_a_digest_is_of_weights_configuration_and_class_names(saved: Path) -> None:
    first = models.digest(keras.models.load_model(saved))
    assert first == models.digest(models.complete(classifier(), MANIFEST))  # also when other models were built before
    code = "from tests.switchpoint.training.test_saved_model import *\n"
    code += "print(models.digest(models.complete(classifier(), MANIFEST)))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == first

    other = keras.models.load_model(saved)
    kernel = other.get_layer("head").get_layer("classes").kernel
    kernel.assign(np.nextafter(kernel.numpy(), np.inf))
    others = [
        other,
        models.complete(classifier(), MANIFEST | {"classes": ["apple pie", "crème/brûlée", "pho"]}),
        models.complete(classifier(), MANIFEST | {"image_width": 38}),
        models.complete(classifier(dropout=0.3), MANIFEST),
    ]
    assert len({first, *map(models.digest, others)}) == 5


@pytest.mark.food101
def test_a_photo_as_taken_is_classified_as_its_record_is(food101_mini: Path) -> None:
    """Between a photo and its record lie two things: the record's rounding, and its JPEG, which matters more."""
    size = 128
    height, width = images.record_size(size)
    lists = {split: (food101_mini / "meta" / f"{split}.txt").read_text().split() for split in ("train", "test")}
    names = sorted({name.partition("/")[0] for name in lists["train"]})
    inner = classifier(len(names), size, "imagenet")
    manifest = {"classes": names, "image_size": size, "image_height": height, "image_width": width}
    model = models.complete(inner, manifest)

    def taken(name: str) -> Any:
        return images.decode((food101_mini / "images" / f"{name}.jpg").read_bytes())

    def resized(names: list[str]) -> list[Any]:
        return [images.resize(taken(name), height, width) for name in names]

    # `predict` would trace the model anew for each photo's size.
    @tf.function(input_signature=[tf.TensorSpec((1, None, None, 3), tf.uint8)])  # type: ignore[untyped-decorator]
    def of_any_size(photo: Any) -> Any:
        return model(photo, training=False)

    def predict(photos: list[Any]) -> Any:
        return np.concatenate([of_any_size(np.asarray(photo)[None]) for photo in photos])

    # A head as transfer learning would train it, but on features taken once.
    crop = keras.Model(model.input, model.get_layer("centre_crop").output)
    pool = keras.layers.GlobalAveragePooling2D()
    backbone = keras.Model(inner.get_layer("backbone").input, pool(inner.get_layer("backbone").output))
    train = lists["train"][::2]
    features = backbone.predict(crop.predict(np.stack(resized(train)), verbose=0), verbose=0)
    top = keras.Sequential([keras.Input(features.shape[1:]), inner.get_layer("head").get_layer("classes")])
    top.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    top.fit(features, np.array([names.index(name.partition("/")[0]) for name in train]), epochs=20, verbose=0)

    test = lists["test"][::3]
    truth = np.array([names.index(name.partition("/")[0]) for name in test])
    of_photo = predict([taken(name) for name in test])
    of_resized = predict(resized(test))
    of_record = predict([images.decode(images.encode(image)) for image in resized(test)])
    assert (of_photo.argmax(axis=1) == truth).mean() > 0.6
    for other, agreement, difference in ((of_resized, 0.97, 0.005), (of_record, 0.9, 0.02)):
        assert (of_photo.argmax(axis=1) == other.argmax(axis=1)).mean() >= agreement
        assert np.abs(of_photo - other).mean() <= difference
    assert np.abs(of_photo - of_resized).max() <= 0.1  # JPEG turns single photos: 0.42 was seen at 128 px
