"""What the tests of backbones share: photos, a build beside Keras' own, and what must hold for every row."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest

from switchpoint.training.backbones.blocks import blocks
from switchpoint.training.backbones.build import network
from switchpoint.training.backbones.table import Application, Backbone, Preprocessing

SIZE = 32
# The right row of a network that the table does not have; it is the smallest of Keras.
MOBILENET = Backbone("mobilenet", Application("MobileNet", "", ""), Preprocessing.TF, r"conv_(?:dw|pw)_\d+")


def photos(count: int, size: int = SIZE) -> np.ndarray:
    """Values over all of [0, 255]; the channels differ in their mean, so that none can be taken for another."""
    values = np.random.default_rng(0).integers(0, 256, (count, size, size, 3)) * [1.0, 0.7, 0.4]
    values[:, 0, 0], values[:, 0, 1] = 0, 255
    return values.astype("float32")


def published_normalization(backbone: keras.Model) -> None:
    """What Keras publishes for EfficientNet: fresh, the layer does nothing and would hide a mistake."""
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.set_weights([np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.array(0)])
            layer.finalize_state()


@dataclass(frozen=True)
class Pair:
    """A row's network as we build it, and as Keras builds it with the same weights as its "imagenet"."""

    row: Backbone
    ours: keras.Model
    theirs: keras.Model
    preprocess_input: Callable[[np.ndarray], np.ndarray]
    asked: list[tuple[str, str]]  # URL and hash of what Keras would have downloaded


def pair(row: Backbone, directory: Path) -> Pair:
    assert row.application
    ours = network(row, SIZE)
    published_normalization(ours)
    ours.save_weights(directory / "ours.weights.h5")
    asked = []

    def get_file(_name: str, url: str, *, file_hash: str, **_options: object) -> str:
        asked.append((url, file_hash))
        return str(directory / "ours.weights.h5")

    function = getattr(keras.applications, row.application.function)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras.src.utils.file_utils.get_file", get_file)
        theirs = function(include_top=False, weights="imagenet", input_shape=(SIZE, SIZE, 3))
    return Pair(row, ours, theirs, sys.modules[function.__module__].preprocess_input, asked)


def check_pixels(ours: keras.Model, pair: Pair) -> None:
    """Our network's first convolution sees what that of Keras' sees after the family's own `preprocess_input`."""
    expected = _before_the_first_convolution(pair.theirs, pair.preprocess_input(photos(2)))
    seen = _before_the_first_convolution(ours, photos(2))
    np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    # Also where `preprocess_input` does nothing something must: the most that a family leaves is 255 - 103.939.
    assert np.abs(seen).max() < 152


def _before_the_first_convolution(model: keras.Model, images: np.ndarray) -> np.ndarray:
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    return keras.Model(model.inputs[0], first.input)(images, training=False).numpy()


def check_blocks(backbone: keras.Model, pattern: str) -> None:
    """Blocks are whole, in order, and as small as blocks of convolutions are; so a wrong pattern does not pass.

    Between a stem and a top of one convolution at most are blocks of one to six: an inverted residual has five
    (expand, depthwise, two of squeeze-and-excite, project), a bottleneck four.
    """
    groups = blocks(backbone, pattern)
    assert [layer for group in groups for layer in group] == backbone.layers
    assert groups[0][0].name == "images"
    in_block = [any(re.match(rf"(?:{pattern})_", layer.name) for layer in group) for group in groups]
    assert in_block[0] is False, "there is no stem"
    assert all(in_block[1:-1])
    assert sum(in_block) >= 5
    for group, between in zip(groups, in_block, strict=True):
        names = [layer.name for layer in group]
        convolutions = sum(isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D) for layer in group)
        least, most, layers = (1, 6, 16) if between else (0, 1, 8)
        assert least <= convolutions <= most, names
        assert len(names) <= layers, names
