import numpy as np

from switchpoint.training.backbones.build import build
from switchpoint.training.backbones.table import LITE0
from switchpoint.training.checkpoints import variables_digest


def test_the_digest_sees_one_changed_number_and_not_the_image_size() -> None:
    backbone = build(LITE0, "imagenet", 32)
    before = variables_digest(backbone)
    assert variables_digest(build(LITE0, "imagenet", 64)) == before
    bias = backbone.get_layer("top_bn").beta
    bias.assign(bias + np.eye(1, 1280)[0] * 1e-3)
    assert variables_digest(backbone) != before
