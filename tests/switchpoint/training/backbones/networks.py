"""What the tests of backbones share: photos, a build beside Keras' own, and what must hold for every row."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pytest

from switchpoint.training.backbones.blocks import blocks
from switchpoint.training.backbones.build import network
from switchpoint.training.backbones.table import Backbone

CONVOLUTIONS = keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.SeparableConv2D


def photos(count: int, size: int = 32) -> np.ndarray:
    """Values over all of [0, 255]; the channels differ in their mean, so that none can be taken for another."""
    values = np.random.default_rng(0).integers(0, 256, (count, size, size, 3)) * [1.0, 0.7, 0.4]
    values[:, 0, 0], values[:, 0, 1] = 0, 255
    return values.astype("float32")


def publish(backbone: keras.Model) -> None:
    """What Keras publishes has other values than these fresh layers, which do nothing and would hide a mistake."""
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.set_weights([np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.array(0)])
            layer.finalize_state()
        elif type(layer).__name__ == "LayerScale":
            layer.gamma.assign(np.ones(layer.gamma.shape))


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """As a file of weights would, without one."""
    target.set_weights(source.get_weights())
    for layer in target.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


@dataclass(frozen=True)
class Pair:
    """A row's network as we build it, and as Keras builds it with the same weights as its "imagenet"."""

    row: Backbone
    ours: keras.Model
    theirs: keras.Model
    preprocess_input: Callable[[np.ndarray], np.ndarray]
    asked: list[tuple[str, str | None]]  # URL and hash of what Keras would have downloaded

    def photos(self) -> np.ndarray:
        return photos(2, self.row.smallest)


def pair(row: Backbone) -> Pair:
    assert row.application
    ours = network(row, row.smallest)
    publish(ours)
    asked = []

    def get_file(_name: str, url: str, *, file_hash: str | None = None, **_options: object) -> str:
        asked.append((url, file_hash))
        return ""

    function = getattr(keras.applications, row.application.function)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras.src.utils.file_utils.get_file", get_file)
        patch.setattr(keras.Model, "load_weights", lambda model, _file: copy_weights(ours, model))
        theirs = function(include_top=False, weights="imagenet", input_shape=(row.smallest, row.smallest, 3))
    return Pair(row, ours, theirs, sys.modules[function.__module__].preprocess_input, asked)


def check_pixels(before: keras.Model, pair: Pair) -> None:
    """The first convolution sees what that of Keras' network sees after the family's own `preprocess_input`.

    Args:
        before: The `entrance` of our network.
        pair: Its row's.
    """
    expected = entrance(pair.theirs)(pair.preprocess_input(pair.photos()), training=False).numpy()
    seen = before(pair.photos(), training=False).numpy()
    np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    # Also where `preprocess_input` does nothing something must: the most that a family leaves is 255 - 103.939.
    assert np.abs(seen).max() < 152


def entrance(model: keras.Model) -> keras.Model:
    """What comes before the first convolution, or before the network in the network that has it."""
    kinds = CONVOLUTIONS | keras.Sequential
    first = next(index for index, layer in enumerate(model.layers) if isinstance(layer, kinds))
    return keras.Model(model.inputs[0], model.layers[first - 1].output)


def check_blocks(backbone: keras.Model, pattern: str) -> None:
    """Blocks are whole, in order, and as small as blocks of convolutions are; so a wrong pattern does not pass.

    An inverted residual has five convolutions (expand, depthwise, two of squeeze-and-excite, project), a bottleneck
    four; what lies side by side in a module of Inception or a cell of NASNet makes up to 13, and Inception's stem has
    five.
    """
    groups = blocks(backbone, pattern)
    assert [layer for group in groups for layer in group] == backbone.layers
    assert groups[0][0].name == "images"
    in_block = [any(re.match(rf"(?:{pattern})_", layer.name) for layer in group) for group in groups]
    assert in_block[0] is False, "there is no stem"
    assert all(in_block[1:-1])
    assert sum(in_block) >= 5
    joins = [layer for layer in backbone.layers if isinstance(layer, keras.layers.Concatenate)]
    wide = any(len(layer.input) > 2 for layer in joins)
    for group, between in zip(groups, in_block, strict=True):
        names = [layer.name for layer in group]
        inner = [each for layer in group for each in getattr(layer, "layers", [layer])]
        convolutions = sum(isinstance(layer, CONVOLUTIONS) for layer in inner)
        if between:
            least, most, layers = (4, 13, 57) if wide else (1, 6, 16)
        else:
            least, most, layers = (0, 5, 19) if wide else (0, 1, 8)
        assert least <= convolutions <= most, names
        assert len(names) <= layers, names
