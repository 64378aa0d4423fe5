"""Each format, written from a run's model and loaded again, says what Keras alone says of the run's."""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from switchpoint.command import formats
from switchpoint.command.cli.main import main
from switchpoint.command.errors import ExportError, MissingPackageError, NoModelError
from switchpoint.command.formats.pixels import Preprocessing
from switchpoint.command.publish import comparison
from switchpoint.command.publish.use import RESIZED, use
from switchpoint.photos import read
from switchpoint.training import network, saved_model
from tests import tiny

SIZES = ((43, 37), (120, 90), (20, 31), (301, 200))  # the model's own, larger, smaller, odd
OTHERS = [kind for kind in formats.FORMATS if kind != "keras"]


def photo(height: int, width: int) -> np.ndarray:
    """Of large patches: noise has the same mean everywhere, and all would be of one class."""
    patches = np.random.default_rng(height).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(patches).resize((width, height), Image.Resampling.NEAREST))


@pytest.fixture(scope="module")
def run_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("a run") / "model.keras")


@pytest.fixture(scope="module")
def exported(run_model: Path) -> Callable[[str], Path]:
    """Where an export of a format lies; made once."""

    def made(kind: str) -> Path:
        place = run_model.parent / kind
        if not place.exists():
            place.mkdir()
            (place / "classes.json").write_text(json.dumps(tiny.CLASSES))
            formats.write(kind, run_model, place)
        return place / f"model.{kind}"

    return made


@pytest.fixture(scope="module")
def said(run_model: Path) -> list[np.ndarray]:
    """By Keras alone, as README shows it."""
    model = keras.models.load_model(run_model, compile=False)
    return [model.predict(photo(*size)[None], verbose=0)[0] for size in SIZES]


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_a_format_says_what_keras_says(kind: str, exported: Callable[[str], Path], said: list[np.ndarray]) -> None:
    assert np.ptp(said, axis=0).max() > 0.1  # else the photos would make no difference
    model = formats.load(exported(kind))
    assert model.classes == tiny.CLASSES
    found = model.answers([model.sized(photo(*size)) for size in SIZES])
    np.testing.assert_allclose(found, said, atol=1e-5)
    for size, expected in zip(SIZES, said, strict=True):
        np.testing.assert_allclose(model.answers([model.sized(photo(*size))])[0], expected, atol=1e-5)


@pytest.mark.parametrize("kind", OTHERS)
def test_the_cards_lines_say_it_too(
    kind: str,
    exported: Callable[[str], Path],
    said: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(exported(kind).parent)
    Image.fromarray(photo(*SIZES[1])).save("photo.png")
    names: dict[str, Any] = {}
    exec(use(kind).replace("photo.jpg", "photo.png"), names)
    np.testing.assert_allclose(names["probabilities"], said[1], atol=1e-5)
    assert capsys.readouterr().out.splitlines()[-1] == tiny.CLASSES[said[1].argmax()]


@pytest.mark.parametrize("kind", RESIZED)
def test_predict_takes_it_without_tensorflow(kind: str, exported: Callable[[str], Path], tmp_path: Path) -> None:
    Image.fromarray(photo(90, 120)).save(tmp_path / "photo.png")
    code = (
        "import sys; from switchpoint.command.cli.main import main; sys.modules['tensorflow'] = None;"
        f"main(['predict', {str(exported(kind).parent)!r}, {str(tmp_path)!r}, '--json'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    model = formats.load(exported("keras"))
    expected = model.answers([model.sized(read(tmp_path / "photo.png"))])[0]
    found = json.loads(done.stdout)
    assert found["class"] == tiny.CLASSES[expected.argmax()]
    assert found["probability"] == pytest.approx(expected.max(), abs=1e-5)


def test_what_was_exported_is_compared_and_another_model_refused(
    run_model: Path,
    exported: Callable[[str], Path],
    tmp_path: Path,
    folder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = folder(cats=30, dogs=30)
    (photos / "cats" / "000.jpg").write_bytes(b"no photo")
    document: Any = {"parameters": {"dataset": str(photos)}}
    agreement = comparison.compare(document, run_model, exported("onnx"))
    assert agreement.photos == agreement.same == 32 and agreement.largest < 1e-5
    assert agreement.size == exported("onnx").stat().st_size
    assert agreement.said.startswith("Asked for 32 photos of the run's dataset, it names the class that Keras names")
    monkeypatch.setattr(comparison, "PHOTOS", 2)
    document["parameters"]["dataset"] = "gs://bucket/photos"
    drawn = comparison.compare(document, run_model, exported("savedmodel"))
    assert "2 photos that were drawn" in drawn.said and drawn.size > 10_000
    document["parameters"]["dataset"] = str(photos)
    other = tiny.save(tmp_path / "model.keras", seed=6)
    with pytest.raises(ExportError, match=r"model.onnx is not exported: it does not answer as the run's model. Asked"):
        comparison.compare(document, other, exported("onnx"))


def test_pixels_are_those_of_the_models_own_layers(run_model: Path) -> None:
    model = keras.models.load_model(run_model, compile=False)
    pixels = keras.Model(model.input, model.get_layer("centre_crop").output)
    preprocessing = Preprocessing.inside(model)
    assert preprocessing == (43, 37, 6, 3, 32)
    for size in SIZES:
        noise = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
        np.testing.assert_allclose(preprocessing.of(noise), pixels.predict(noise[None], verbose=0)[0], atol=5e-3)


def test_a_library_that_is_missing_is_named_with_what_to_do(
    run_model: Path, exported: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for act in (lambda: formats.write("onnx", run_model, tmp_path), lambda: formats.load(exported("onnx"))):
        with pytest.raises(MissingPackageError, match=r"pip install 'switchpoint\[export\]'"):
            act()


def test_a_network_that_onnx_cannot_hold_is_refused(tmp_path: Path) -> None:
    photos = keras.Input((32, 32, 3))
    backbone = keras.Model(photos, keras.layers.Conv2D(6, 3, groups=3)(photos), name="backbone")
    manifest: Any = {"classes": tiny.CLASSES, "image_size": 32, "image_height": 43, "image_width": 37}
    classifier = network.join(backbone, network.head(backbone, 3, 0.2))
    saved_model.save(saved_model.complete(classifier, manifest), tmp_path / "model.keras")
    with pytest.raises(ExportError, match=r"ONNX Runtime does not read it .* --format keras, savedmodel or tflite"):
        formats.write("onnx", tmp_path / "model.keras", tmp_path)
    assert not list(tmp_path.glob("*.onnx"))


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    for kind in formats.FORMATS:
        (tmp_path / f"broken.{kind}").write_bytes(b"no model")
        with pytest.raises(NoModelError, match=rf"broken.{kind} can't be read as a model that Switchpoint saved"):
            formats.load(tmp_path / f"broken.{kind}")
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(NoModelError, match=r"ends in none of .keras, .h5, .savedmodel, .onnx, .tflite"):
        formats.load(tmp_path / "photo.jpg")


def test_the_command_takes_every_format(exported: Callable[[str], Path], tmp_path: Path) -> None:
    Image.fromarray(photo(90, 120)).save(tmp_path / "photo.png")
    first = ""
    for place in (exported("keras"), exported("savedmodel"), exported("savedmodel").parent, exported("h5").parent):
        with warnings.catch_warnings():
            result = CliRunner().invoke(main, ["predict", str(place), str(tmp_path / "photo.png")])
        assert result.exit_code == 0, result.output
        first = first or result.output
        assert result.output == first
