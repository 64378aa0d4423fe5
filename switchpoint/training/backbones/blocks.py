"""A backbone's blocks, and which of them train."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from switchpoint.errors import ParameterError

if TYPE_CHECKING:
    import keras


def blocks(backbone: keras.Model, pattern: str) -> list[list[keras.layers.Layer]]:
    """Split the backbone's layers into blocks, input side first: the stem, the convolution blocks, the top.

    A layer without a block in its name (an activation that Keras numbered) goes with the layer before it. A network
    whose last layer is in a block (VGG) has no top.

    Args:
        backbone: From `switchpoint.training.backbones.build`, or such a network loaded.
        pattern: Its `block_pattern` in the table of backbones.

    Raises:
        ParameterError: No layer is in a block.
    """
    prefix = re.compile(rf"({pattern})_")
    names = [match[1] if (match := prefix.match(layer.name)) else None for layer in backbone.layers]
    last = max((index for index, name in enumerate(names) if name), default=-1)
    if last < 0:
        raise ParameterError(
            f"block_pattern must match how the names of a block's layers begin. Received: {pattern!r}, for layers "
            f"{backbone.layers[0].name} to {backbone.layers[-1].name}. Correct the backbone's row in the table."
        )
    groups: dict[str, list[keras.layers.Layer]] = {}
    current = "stem"
    for index, (name, layer) in enumerate(zip(names, backbone.layers, strict=True)):
        current = name or ("top" if last < index else current)
        groups.setdefault(current, []).append(layer)
    return list(groups.values())


def freeze(backbone: keras.Model) -> None:
    """Set every layer not trainable. Compile afterwards."""
    _set_trainable(backbone, False)


def unfreeze(backbone: keras.Model, pattern: str, last_blocks: int = 0) -> None:
    """Set the last blocks trainable, but no BatchNormalization, and freeze the rest. Compile afterwards.

    Args:
        backbone: Changed in place. Setting `trainable` on it or on a model around it can undo this.
        pattern: As `blocks` takes it.
        last_blocks: How many of `blocks`, counted from the output: 1 is the top alone. 0 is all.

    Raises:
        ParameterError: Negative, or more than there are; or no layer is in a block.

    Source:
        https://keras.io/guides/transfer_learning/. `training=False` is not enough: a functional model hands its own
        `training` on in `fit`, so each BatchNormalization must itself be not trainable to keep its statistics.
    """
    groups = blocks(backbone, pattern)
    if not 0 <= last_blocks <= len(groups):
        raise ParameterError(
            f"last_blocks must be 0 (all) to {len(groups)}, the backbone's number of blocks. Received: {last_blocks}."
        )
    _set_trainable(backbone, True)
    for group in groups[:-last_blocks] if last_blocks else []:
        for layer in group:
            _set_trainable(layer, False)
    for layer in _every_layer(backbone):
        if type(layer).__name__ == "BatchNormalization":
            layer.trainable = False


def _set_trainable(layer: keras.layers.Layer, value: bool) -> None:
    # One by one: on TensorFlow, setting `trainable` to what it already is does nothing, whatever the layers inside say.
    # A Sequential (ConvNeXt has four) forgets in a file that it was frozen, what is in it does not; so that a file's
    # network has the same config, only the latter is.
    for each in (layer, *_every_layer(layer)):
        each.trainable = value or type(each).__name__ == "Sequential"


def _every_layer(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    for child in getattr(layer, "layers", ()):
        yield child
        yield from _every_layer(child)
