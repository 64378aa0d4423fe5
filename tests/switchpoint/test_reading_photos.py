"""Photos are read for a model as for its training: by the function, and by what README and card show, run as text."""

import io
import json
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from switchpoint.command.publish.use import use
from switchpoint.data.photos import UnreadablePhotoError, decode
from switchpoint.photos import read
from switchpoint.provenance.digests import ROOT
from tests.switchpoint.data.test_photos import tiff

README = next(
    block for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    if "load_model" in block
)  # fmt: skip
CARD = use("keras")


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def odd() -> dict[str, bytes]:
    """Photos that `convert("RGB")` alone shows otherwise than a person sees them, and one that it does not."""
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 256, (16, 24, 3), dtype=np.uint8))
    turned = {f"exif-{orientation}": Image.Exif() for orientation in range(2, 9)}
    for orientation, exif in enumerate(turned.values(), start=2):
        exif[0x0112] = orientation
    see_through = noise.copy()
    see_through.putalpha(Image.fromarray(random.integers(0, 256, (16, 24), dtype=np.uint8)))
    levels = random.integers(0, 65536, (16, 24), dtype=np.uint16)
    return {
        "plain": saved(noise, "JPEG"),
        **{name: saved(noise, "JPEG", exif=exif) for name, exif in turned.items()},
        "alpha": saved(see_through, "PNG"),
        "alpha-webp": saved(see_through, "WEBP", lossless=True),
        "alpha-turned": saved(see_through, "PNG", exif=turned["exif-6"]),
        "grey-alpha": saved(see_through.convert("LA"), "PNG"),
        "transparent-level": saved(noise.convert("L"), "PNG", transparency=7),
        "palette": saved(noise.quantize(8), "PNG", transparency=3),
        "16-bits": saved(Image.fromarray(levels), "PNG"),
        "white-is-zero": tiff(8, 0, random.bytes(384)),
        "16-bits-pgm": b"P5 24 16 65535 " + levels.byteswap().tobytes(),
        "cmyk": saved(noise.convert("CMYK"), "JPEG"),
    }


PHOTOS = odd()
# What their levels mean Pillow does not say: read as a PNG's they come out almost black, or as a negative.
DEEP_TIFFS = {
    "12-bits": tiff(12, 1, bytes.fromhex("800800") * 192),
    "16-bits": tiff(16, 1, bytes(768)),
    "16-bits-white-is-zero": tiff(16, 0, bytes(768)),
    "32-bits": saved(Image.new("I", (24, 16), 70_000), "TIFF"),
    "float": saved(Image.new("F", (24, 16), 0.5), "TIFF"),
}


def pixels_of(snippet: str, photo: bytes, place: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the snippet gives to the model."""
    given = []

    class Model:
        def get_layer(self, _: str) -> "Model":
            return self

        def get_vocabulary(self) -> list[str]:
            return ["pho", "ramen"]

        def predict(self, photos: Any) -> Any:
            given.append(photos)
            return np.array([[0.2, 0.8]])

    keras = types.SimpleNamespace(models=types.SimpleNamespace(load_model=lambda *_, **__: Model()))
    monkeypatch.setitem(sys.modules, "keras", keras)  # type: ignore[arg-type]
    monkeypatch.chdir(place)
    (place / "photo.jpg").write_bytes(photo)
    (place / "classes.json").write_text(json.dumps(["pho", "ramen"]))
    exec(snippet, {})
    (batch,) = given
    assert batch.dtype == np.uint8 and batch.shape[0] == 1
    return batch[0]


@pytest.mark.parametrize("photo", PHOTOS.values(), ids=PHOTOS)
@pytest.mark.parametrize("snippet", [README, CARD], ids=["readme", "card"])
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the snippets are short
def test_what_is_shown_gives_the_pixels_of_training(
    snippet: str, photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = pixels_of(snippet, photo, tmp_path, monkeypatch)
    np.testing.assert_array_equal(pixels, np.asarray(decode(photo)))
    assert capsys.readouterr().out == "ramen\n"


@pytest.mark.parametrize("photo", DEEP_TIFFS.values(), ids=DEEP_TIFFS)
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_the_card_refuses_what_it_would_read_otherwise(
    photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="more than 8 bits: save it as a PNG"):
        pixels_of(CARD, photo, tmp_path, monkeypatch)


def test_read_takes_a_path_or_bytes(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(PHOTOS["exif-6"])
    pixels = read(tmp_path / "photo.jpg")
    assert pixels.shape == (24, 16, 3) and pixels.dtype == np.uint8 and pixels.flags.writeable
    np.testing.assert_array_equal(pixels, read(PHOTOS["exif-6"]))
    np.testing.assert_array_equal(pixels, read(str(tmp_path / "photo.jpg")))
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.jpg")
    with pytest.raises(UnreadablePhotoError, match="not an image"):
        read(b"none")


def test_read_needs_pillow_and_numpy_alone() -> None:
    code = (
        "import sys; from switchpoint.photos import read; read(open(sys.argv[1], 'rb').read());"
        "found = {'tensorflow', 'keras', 'kfp', 'google.cloud'} & set(sys.modules); sys.exit(str(found or '') or 0)"
    )
    photo = next((ROOT / "docs").glob("*.png"))
    done = subprocess.run([sys.executable, "-c", code, str(photo)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
