"""The corruptions against the paper's definitions and constants, which stand here a second time."""

import colorsys
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.evaluate.corruptions import CORRUPTIONS, SIZE, STRENGTHS, corrupted
from switchpoint.data.sources import dishes

Photo = np.ndarray[Any, Any]

# ImageNet-C/create_c/make_imagenet_c.py of github.com/hendrycks/robustness at 8190fe3, severities 1 to 5.
PAPER = {
    "noise": [0.08, 0.12, 0.18, 0.26, 0.38],
    "blur": [1, 2, 3, 4, 6],
    "brightness": [0.1, 0.2, 0.3, 0.4, 0.5],
    "contrast": [0.4, 0.3, 0.2, 0.1, 0.05],
    "jpeg": [25, 18, 15, 10, 7],
}


@pytest.fixture(scope="module")
def photo() -> Photo:
    dish = Image.open(io.BytesIO(dishes.photograph(f"{next(iter(dishes.DISHES))}/train-000.jpg"))).convert("RGB")
    made = np.array(dish.resize((SIZE, SIZE)))
    made[:2, :2] = 0  # black has no hue
    return made


def test_the_constants_are_the_papers() -> None:
    assert STRENGTHS == (1, 3, 5)
    assert {name: list(each.constants) for name, each in CORRUPTIONS.items()} == {
        name: constants[::2] for name, constants in PAPER.items()
    }


def test_noise_has_the_papers_deviation() -> None:
    grey = np.full((SIZE, SIZE, 3), 128, np.uint8)
    for made, deviation in zip(corrupted(grey, "noise", 1, 1), PAPER["noise"][::2], strict=True):
        # What lies beyond black and white is cut off, as in the paper: half the middle's distance to them is not.
        inside = np.abs(made.astype(float) - 128) < 64
        expected = np.abs(np.random.default_rng(0).normal(0, 255 * deviation, made.shape)) < 64
        assert inside.mean() == pytest.approx(expected.mean(), abs=0.005)
        assert made.mean() == pytest.approx(128, abs=1)


def test_blur_is_gaussian() -> None:
    edge = np.zeros((SIZE, SIZE, 3), np.uint8)
    edge[:, SIZE // 2 :] = 255
    places = np.arange(SIZE - 1) - (SIZE / 2 - 1)
    for made, deviation in zip(corrupted(edge, "blur", 1, 1), PAPER["blur"][::2], strict=True):
        kernel = np.diff(made[SIZE // 2, :, 0].astype(float)) / 255
        exact = np.exp(-0.5 * (places / deviation) ** 2)
        assert np.sqrt((kernel * places**2).sum()) == pytest.approx(deviation, rel=0.02)
        # Pillow's is three boxes, each rounded to whole values.
        assert np.abs(kernel - exact / exact.sum()).max() < 0.02


def test_brightness_raises_v_of_hsv(photo: Photo) -> None:
    for made, more in zip(corrupted(photo, "brightness", 1, 1), PAPER["brightness"][::2], strict=True):
        for row in range(0, SIZE, 37):
            h, s, v = colorsys.rgb_to_hsv(*photo[row, row] / 255)
            assert made[row, row] == pytest.approx(
                255 * np.array(colorsys.hsv_to_rgb(h, s, min(v + more, 1))), abs=0.51
            )


def test_contrast_keeps_each_colours_mean(photo: Photo) -> None:
    means = photo.mean(axis=(0, 1))
    for made, kept in zip(corrupted(photo, "contrast", 1, 1), PAPER["contrast"][::2], strict=True):
        assert np.abs(made - ((photo - means) * kept + means)).max() < 0.51


def test_jpeg_is_pillows_of_the_papers_quality(photo: Photo) -> None:
    for made, quality in zip(corrupted(photo, "jpeg", 1, 1), PAPER["jpeg"][::2], strict=True):
        Image.fromarray(photo).save(file := io.BytesIO(), "JPEG", quality=quality)
        assert (made == np.asarray(Image.open(file))).all()


def step_of(quality: float) -> int:
    """The first quantisation step that Pillow saves a photo with; the last ones are cut off at 255."""
    Image.new("RGB", (8, 8)).save(file := io.BytesIO(), "JPEG", quality=round(quality))
    tables: dict[int, list[int]] = getattr(Image.open(file), "quantization")  # noqa: B009 (of JPEG's class alone)
    return tables[0][0]


@pytest.mark.parametrize("size", [64, 112, 299])
def test_another_size_loses_the_same_detail(size: int) -> None:
    ratio = size / SIZE
    for name in ("noise", "blur"):
        scaled = CORRUPTIONS[name].scaled
        assert [scaled(each, ratio) for each in PAPER[name]] == pytest.approx(np.multiply(PAPER[name], ratio))
    for quality in CORRUPTIONS["jpeg"].constants:
        scaled_quality = CORRUPTIONS["jpeg"].scaled(quality, ratio)
        assert step_of(scaled_quality) == pytest.approx(ratio * step_of(quality), rel=0.07)  # whole qualities alone
    for name in ("brightness", "contrast"):
        assert [CORRUPTIONS[name].scaled(each, ratio) for each in PAPER[name]] == PAPER[name]


def test_noise_on_a_smaller_photo_is_that_of_224_px_brought_to_its_size() -> None:
    grey = np.full((SIZE, SIZE, 3), 128, np.uint8)
    large, small = (corrupted(each, "noise", 1, 1)[0].astype(float) for each in (grey, grey[::2, ::2]))
    halved = large.reshape(SIZE // 2, 2, SIZE // 2, 2, 3).mean(axis=(1, 3))
    assert small.std() == pytest.approx(halved.std(), rel=0.02)


def test_draws_depend_on_seed_and_photo_alone(photo: Photo) -> None:
    first = corrupted(photo, "noise", 1, 7)
    assert all((a == b).all() for a, b in zip(first, corrupted(photo, "noise", 1, 7), strict=True))
    assert not any((first[0] == corrupted(photo, "noise", *other)[0]).all() for other in ((2, 7), (1, 8)))
