"""Building the network that transfer learning starts from: preprocessing inside, pretrained weights loaded."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from switchpoint.errors import ParameterError, WeightsError
from switchpoint.training.backbones import lite0
from switchpoint.training.backbones.table import LITE0, Application, Backbone, Preprocessing, local_weights, named

if TYPE_CHECKING:
    import keras

# ImageNet's, of RGB in [0, 1], and of BGR in [0, 255], as https://github.com/keras-team/keras has them in
# keras/src/applications/imagenet_utils.py
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BGR_MEAN = (103.939, 116.779, 123.68)


def build(name: str, weights: str, image_size: int) -> keras.Model:
    """Build a backbone: images in, feature map out, nothing on top.

    Args:
        name: One of `BACKBONES`.
        weights: "imagenet"; "none" for random ones (seed with `keras.utils.set_random_seed`); or a file, for every
            backbone Keras' .weights.h5, .h5 or .keras of the network without its top, for EfficientNet-Lite0 also
            PyTorch's .pth. A file of weights is used as Keras uses its own ImageNet weights.
        image_size: Height and width in pixels, the row's `smallest` or more.

    Returns:
        Model "backbone": float32 RGB (batch, image_size, image_size, 3) in [0, 255] to features (batch, h, w, c).
        Preprocessing is inside. Two builds have the same config, whatever was built before them.

    Raises:
        ParameterError: Unknown name, or image_size below what the network takes.
        WeightsError: The weights can't be downloaded or read, or belong to another network.
    """
    row = named(name)
    if image_size < row.smallest:
        raise ParameterError(f"image_size={image_size}: {name} takes {row.smallest} or more.")
    file = None if weights == "none" else _weights_file(row, weights)
    backbone = network(row, image_size)
    if file is not None:
        _load(backbone, row, file)
    return backbone


def network(row: Backbone, image_size: int) -> keras.Model:
    """What `build` gives, with random weights, for a row that need not be in the table."""
    import keras

    if row.application is None:
        return lite0.network(image_size)
    images = keras.Input((image_size, image_size, 3), name="images")
    model = getattr(keras.applications, row.application.function)(
        include_top=False,
        weights=None,
        input_tensor=preprocess(images, row.preprocessing),
        input_shape=(image_size, image_size, 3),
    )

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        if row.preprocessing is Preprocessing.INSIDE_BUT_STD and isinstance(layer, keras.layers.Normalization):
            # Keras adds this only for weights="imagenet": the file's "variance" holds the standard deviation. Without
            # it the same file, given by its path, would see other images.
            outputs = keras.layers.Rescaling([1 / math.sqrt(std) for std in _STD], name="std")(outputs)
        return outputs

    names = _names(model, row.block_ends)

    def clone(layer: Any) -> Any:
        config = {**layer.get_config(), "name": names[layer.name]}
        for inner in config.get("layers", ()):  # ConvNeXt has networks in the network
            if inner["class_name"] == "InputLayer":
                inner["config"]["name"] = "inputs"
        return type(layer).from_config(config)

    model = keras.models.clone_model(model, clone_function=clone, call_function=call)
    return keras.Model(model.inputs[0], model.outputs[0], name="backbone")


def preprocess(images: keras.KerasTensor, preprocessing: Preprocessing) -> keras.KerasTensor:
    """Do what a network leaves to be done before it, in layers and operations that safe mode loads.

    The turn to BGR is an operation, no layer: `.keras` holds it, H5 does not, and such a network is not exported to it.

    Args:
        images: float32 RGB (batch, height, width, 3) in [0, 255].
        preprocessing: From the network's row.
    """
    import keras

    if preprocessing is Preprocessing.TF:
        return keras.layers.Rescaling(1 / 127.5, offset=-1)(images)
    if preprocessing is Preprocessing.TORCH:
        # (x / 255 - mean) / std
        scale = [1 / (255 * std) for std in _STD]
        return keras.layers.Rescaling(scale, [-mean / std for mean, std in zip(_MEAN, _STD, strict=True)])(images)
    if preprocessing is Preprocessing.CAFFE:
        return keras.layers.Rescaling(1.0, [-mean for mean in _BGR_MEAN])(keras.ops.flip(images, axis=-1))
    return images


def _names(model: keras.Model, block_ends: str) -> dict[str, str]:
    """New names by Keras' own: unnamed layers count from this model's start, not the process's.

    Args:
        model: From `keras.applications`.
        block_ends: Its row's.
    """
    names: dict[str, str] = {}
    kinds: dict[type, str] = {}
    numbers = Counter[str]()
    for layer in model.operations:
        if type(layer) not in kinds:
            unnamed = type(layer).from_config({**layer.get_config(), "name": None})
            kinds[type(layer)] = re.sub(r"_\d+$", "", unnamed.name)
        kind = kinds[type(layer)]
        names[layer.name] = layer.name
        if re.fullmatch(rf"{kind}(_\d+)?", layer.name):
            numbers[kind] += 1
            names[layer.name] = f"{kind}_{numbers[kind]}"
    ends = [index for index, name in enumerate(names.values()) if re.fullmatch(block_ends, name)]
    old = list(names)
    for block, (before, last) in enumerate(itertools.pairwise(ends), 1):
        names |= {name: f"block{block}_{names[name]}" for name in old[before + 1 : last + 1]}
    return names


def _weights_file(row: Backbone, weights: str) -> Path:
    if weights == "imagenet" and row.no_imagenet:
        raise WeightsError(row.no_imagenet)
    if weights == "imagenet" and row.application:
        return _download(row.name, row.application)
    return local_weights(weights)


def _download(name: str, application: Application) -> Path:
    import keras

    try:
        file = keras.utils.get_file(
            application.url.rpartition("/")[2], application.url, cache_subdir="models", file_hash=application.file_hash
        )
    except Exception as error:  # get_file raises bare Exception
        raise WeightsError(
            f"The ImageNet weights of {name} can't be downloaded: {error}. Without a network, fetch {application.url} "
            f"elsewhere and pass the file or its address in a bucket as weights; or take {LITE0}, whose weights are "
            "installed."
        ) from error
    return Path(file)


def _load(backbone: keras.Model, row: Backbone, file: Path) -> None:
    pytorch = file.suffix in {".pth", ".pt"}
    if pytorch and row.application:
        raise WeightsError(f"Only {LITE0} reads PyTorch's weights; {row.name} reads Keras'. Received: {file}.")
    try:
        if pytorch:
            lite0.load_pytorch(backbone, file)
        else:
            # Of a .keras file too this reads the weights alone. Not set_weights: it leaves Normalization as it was.
            backbone.load_weights(file)
    except WeightsError:
        raise
    except Exception as error:  # Keras, h5py and zipfile raise what they like on a file that is not theirs
        raise WeightsError(
            f"{file} does not hold the weights of {row.name} without its top (include_top=False): {error}"
        ) from error
