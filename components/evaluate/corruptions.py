"""Five corruptions of ImageNet-C at three strengths, on photos as a model sees them: uint8 RGB (size, size, 3).

`CORRUPTIONS` has the constants of the paper's severities 1, 3 and 5, which are for photos of 224 px. Another size shall
lose the same detail, seen over the whole photo, as if it had been corrupted at 224 px and then brought to its size:
what is a length in pixels, and what averages out over neighbouring pixels, grows with the size.

- noise: independent in each value, so its standard deviation times size / 224;
- blur: its standard deviation is a length: times size / 224;
- JPEG: the error that it leaves is about as wide as its quantisation steps, and averages out as noise does: the steps
  times size / 224, and the quality that has such steps;
- brightness and contrast are the same at any size.

The paper's authors set constants for 64 and 299 px by hand, and these go the same way: at 64 px their qualities are 65,
50 and 25 (here 71, 52 and 24), their blur 0.25 to 0.5 times that of 224 px (here 0.29), their noise 0.5 to 0.7 times;
at 299 px qualities 23, 13 and 5 (here 19, 11 and 5), blur 1.1 to 1.5 times (here 1.33), noise 1.05 to 1.13 times;
brightness and contrast are those of 224 px. So noise is where they differ from this rule.

They then save photos as JPEG of quality 85, with values cut off to whole ones; here nothing comes after a corruption,
and values are rounded. Figures compare starts with one another, not with published ones.

Source:
    Hendrycks and Dietterich 2019, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations,
    https://arxiv.org/abs/1903.12261 (Gaussian noise, Gaussian blur, brightness, contrast, JPEG compression);
    constants: https://github.com/hendrycks/robustness (ImageNet-C/create_c)
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageFilter, ImageStat

if TYPE_CHECKING:
    from collections.abc import Callable

    Photo = np.ndarray[Any, Any]

SIZE = 224  # pixels, of the paper's photos
STRENGTHS = (1, 3, 5)  # the paper's severities


class Corruption(NamedTuple):
    """What is done to a photo.

    Attributes:
        constants: For each of `STRENGTHS`, at `SIZE`.
        scaled: Makes of such a constant, and of size / `SIZE`, the constant for a photo of that size.
        apply: Takes a photo, a scaled constant, and where draws come from.
    """

    constants: tuple[float, float, float]
    scaled: Callable[[float, float], float]
    apply: Callable[[Photo, float, np.random.Generator], Photo]


def corrupted(photo: Photo, name: str, seed: int, number: int) -> list[Photo]:
    """A photo under one corruption at each of `STRENGTHS`.

    Args:
        photo: uint8 (size, size, 3).
        name: In `CORRUPTIONS`.
        seed: Of the draws.
        number: The photo's: its draws depend on (seed, number, name) alone, and are the same at each strength.

    Returns:
        uint8, as `photo`.
    """
    corruption = CORRUPTIONS[name]
    ratio = photo.shape[0] / SIZE
    stream = seed, number, list(CORRUPTIONS).index(name)
    return [
        corruption.apply(photo, corruption.scaled(constant, ratio), np.random.default_rng(stream))
        for constant in corruption.constants
    ]


def _noise(photo: Photo, deviation: float, random: np.random.Generator) -> Photo:
    """Gaussian noise; its standard deviation as a share of the range of values."""
    return _rounded(photo + 255 * deviation * random.standard_normal(photo.shape, np.float32))


def _blur(photo: Photo, deviation: float, _: np.random.Generator) -> Photo:
    """Gaussian blur of a standard deviation in pixels; edges repeat."""
    return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(deviation)))


def _brightness(photo: Photo, more: float, _: np.random.Generator) -> Photo:
    """A higher V in HSV, by a share of its range: with H and S kept, the three colours are multiplied by one number."""
    values = np.arange(256, dtype=np.float32)
    factors = np.minimum(values + 255 * more, 255) / np.maximum(values, 1)
    value = np.maximum(np.maximum(photo[..., 0], photo[..., 1]), photo[..., 2])
    brighter = photo * factors[value][..., None]
    brighter[value == 0] = factors[0]  # black becomes grey
    return _rounded(brighter)


def _contrast(photo: Photo, kept: float, _: np.random.Generator) -> Photo:
    """A smaller distance of each value from its colour's mean over the photo."""
    image = Image.fromarray(photo)
    levels = [_rounded((np.arange(256) - mean) * kept + mean) for mean in ImageStat.Stat(image).mean]
    return np.asarray(image.point(np.concatenate(levels).tolist()))


def _jpeg(photo: Photo, quality: float, _: np.random.Generator) -> Photo:
    """JPEG of a quality from 1 to 100, as Pillow saves it: colours at half the resolution."""
    written = io.BytesIO()
    Image.fromarray(photo).save(written, "JPEG", quality=round(quality))
    return np.asarray(Image.open(written))


def _rounded(values: Photo) -> Photo:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _times(constant: float, ratio: float) -> float:
    return constant * ratio


def _same(constant: float, _: float) -> float:
    return constant


def _quality(quality: float, ratio: float) -> float:
    """The JPEG quality whose quantisation steps are `ratio` times those of `quality`.

    Source:
        libjpeg, jpeg_quality_scaling: the steps are 5000 / quality % of the standard's below 50, else 200 - 2 quality %
    """
    steps = ratio * (5000 / quality if quality < 50 else 200 - 2 * quality)
    return max(1.0, 5000 / steps if steps > 100 else 100 - steps / 2)


CORRUPTIONS = {
    "noise": Corruption((0.08, 0.18, 0.38), _times, _noise),
    "blur": Corruption((1, 3, 6), _times, _blur),
    "brightness": Corruption((0.1, 0.3, 0.5), _same, _brightness),
    "contrast": Corruption((0.4, 0.2, 0.05), _same, _contrast),
    "jpeg": Corruption((25, 15, 7), _quality, _jpeg),
}
