"""A model's answers on photos of a person, beside those of Keras alone on each."""

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from switchpoint.command.cli.main import main
from switchpoint.command.formats import BATCH
from switchpoint.photos import read
from switchpoint.training import network
from switchpoint.training import saved_model as models
from switchpoint.training.backbones.build import build

CLASSES = ["apple pie", "crème brûlée", "ramen"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(5)
    backbone = build("efficientnet_lite0", "none", 32)
    classifier = network.join(backbone, network.head(backbone, 3, 0.2))
    head: Any = classifier.get_layer("head").get_layer("classes")
    head.kernel.assign(head.kernel * 20)  # an untrained network says nearly the same of all photos
    manifest: Any = {"classes": CLASSES, "image_size": 32, "image_height": 43, "image_width": 37}
    path = tmp_path_factory.mktemp("model") / "model.keras"
    models.save(models.complete(classifier, manifest), path)
    return path


def asked(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["predict", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def photos(tmp_path: Path, jpeg: Callable[..., bytes]) -> Path:
    place = tmp_path / "my photos"
    (place / "nested").mkdir(parents=True)
    for number in range(BATCH + 3):
        (place / "nested" / f"{number:02d}.jpg").write_bytes(jpeg("predict", number, size=(40 + number, 30)))
    image = Image.open(io.BytesIO(jpeg("turned", size=(60, 20))))
    exif = image.getexif()
    exif[274] = 6
    image.save(place / "turned é.jpg", exif=exif)
    (place / "broken.jpg").write_bytes(b"no photo")
    (place / ".hidden").write_bytes(b"")
    return place


def test_batches_say_what_the_model_says_of_each_photo(model: Path, photos: Path) -> None:
    result = asked(model, photos, "--json", "--top", "2")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [os.path.relpath(each["photo"], photos) for each in found] == [
        *(f"nested/{number:02d}.jpg" for number in range(BATCH + 3)), "turned é.jpg",
    ]  # fmt: skip
    assert result.stderr.splitlines() == [
        f"{photos / 'broken.jpg'} can't be read: not an image (JPEG, PNG, GIF, WEBP, BMP, TIFF, PPM, HEIF)"
    ]
    whole = keras.models.load_model(model, compile=False)
    assert np.ptp([each["probability"] for each in found]) > 0.01  # else the photos would make no difference
    for each in (found[0], found[BATCH], found[-1]):
        alone = whole.predict(read(each["photo"])[None], verbose=0)[0]
        order = np.argsort(-alone)[:2]
        assert [name for name, _ in each["top"]] == [CLASSES[number] for number in order]
        np.testing.assert_allclose([share for _, share in each["top"]], alone[order], atol=1e-5)
        assert [each["class"], each["probability"]] == each["top"][0]


def test_a_table_and_rows(model: Path, photos: Path) -> None:
    shown = asked(model, photos / "turned é.jpg", photos / "nested" / "00.jpg").stdout
    assert "turned é.jpg" in shown and "%" in shown
    rows = list(csv.reader(io.StringIO(asked(model.parent, photos / "turned é.jpg", "--csv").stdout)))
    assert rows[0] == ["photo", "rank", "class", "probability"]
    assert [row[1] for row in rows[1:]] == ["1", "2", "3"] and {row[2] for row in rows[1:]} == set(CLASSES)
    assert sum(float(row[3]) for row in rows[1:]) == pytest.approx(1, abs=1e-5)


def test_what_is_no_model_or_no_photo_is_named(model: Path, photos: Path, tmp_path: Path) -> None:
    runs = ("--runs-dir", tmp_path / "runs")
    assert (
        "nothing is no model's file, no folder of an export, and no run in"
        in asked("nothing", photos, *runs, code=1).output
    )
    assert (
        "can't be read as a model that Switchpoint saved" in asked(photos / "broken.jpg", photos, *runs, code=1).output
    )
    assert "missing.jpg is not there." in asked(model, photos / "missing.jpg", code=1).output
    (tmp_path / "empty").mkdir()
    assert "empty has no files." in asked(model, tmp_path / "empty", code=1).output
    assert asked(model, photos / "broken.jpg", "--csv", code=1).stdout.strip() == "photo,rank,class,probability"
    assert "not both" in asked(model, photos, "--csv", "--json", code=2).output
