import keras
import numpy as np
import pytest

from switchpoint.errors import ParameterError
from switchpoint.training.backbones.blocks import blocks, freeze, unfreeze
from switchpoint.training.backbones.table import LITE0, named
from switchpoint.training.checkpoints import variables_digest
from tests.switchpoint.training.backbones.networks import photos

pytestmark = pytest.mark.slow

PATTERN = named(LITE0).block_pattern


def test_blocks_are_in_order_and_complete(unchanged_lite0: keras.Model) -> None:
    groups = blocks(unchanged_lite0, PATTERN)
    assert [group[-1].name.rpartition("_")[0] for group in groups] == [
        *("stem", "block1a_project", "block2a_project", "block2b", "block3a_project", "block3b"),
        *("block4a_project", "block4b", "block4c", "block5a_project", "block5b", "block5c"),
        *("block6a_project", "block6b", "block6c", "block6d", "block7a_project", "top"),
    ]
    assert [layer for group in groups for layer in group] == unchanged_lite0.layers


def test_a_pattern_that_no_layer_matches_is_refused(unchanged_lite0: keras.Model) -> None:
    with pytest.raises(ParameterError, match="Received: 'nothing', for layers images to top_activation"):
        blocks(unchanged_lite0, "nothing")


def test_unfreezing_the_last_blocks(lite0: keras.Model) -> None:
    groups = blocks(lite0, PATTERN)
    unfreeze(lite0, PATTERN, 2)
    assert [w.path for w in lite0.trainable_weights] == [
        f"{layer}/kernel" for layer in ("block7a_expand_conv", "block7a_dwconv", "block7a_project_conv", "top_conv")
    ]
    before = variables_digest(lite0)
    unfreeze(lite0, PATTERN)
    # 49 convolutions, and nothing of the BatchNormalizations
    assert [weight.name for weight in lite0.trainable_weights] == ["kernel"] * 49
    unfreeze(lite0, PATTERN, len(groups))
    assert len(lite0.trainable_weights) == 49
    unfreeze(lite0, PATTERN, 1)
    assert len(lite0.trainable_weights) == 1
    freeze(lite0)
    assert lite0.trainable_weights == []
    assert variables_digest(lite0) == before
    for wrong in (-1, 19):
        with pytest.raises(ParameterError, match=rf"0 \(all\) to 18.*Received: {wrong}"):
            unfreeze(lite0, PATTERN, wrong)


def test_nested_batch_normalization_stays_frozen() -> None:
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    outer = keras.Sequential([keras.Input((4,)), keras.Sequential([keras.Input((4,)), inner])])
    unfreeze(outer, "sequential")
    assert [weight.name for weight in outer.trainable_weights] == ["kernel", "bias"]


def statistics(backbone: keras.Model) -> dict[str, np.ndarray]:
    return {weight.path: weight.numpy() for weight in backbone.weights if weight.name.startswith("moving_")}


def fit(backbone: keras.Model) -> None:
    inputs = keras.Input(backbone.input_shape[1:])
    features = keras.layers.GlobalAveragePooling2D()(backbone(inputs, training=False))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(features))
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(photos(8), np.arange(8) % 3, batch_size=4, epochs=1, verbose=0)


def test_statistics_stand_still_in_fit_and_naively_would_not(lite0: keras.Model) -> None:
    before, kernel = statistics(lite0), lite0.get_layer("stem_conv").kernel.numpy()
    assert len(before) == 2 * 49

    unfreeze(lite0, PATTERN)
    fit(lite0)
    for path, value in statistics(lite0).items():
        np.testing.assert_array_equal(value, before[path], err_msg=path)
    assert (lite0.get_layer("stem_conv").kernel.numpy() != kernel).any()

    freeze(lite0)
    lite0.trainable = True
    fit(lite0)
    assert all((value != before[path]).any() for path, value in statistics(lite0).items())


def test_a_frozen_backbone_does_not_change_in_fit(lite0: keras.Model) -> None:
    before = variables_digest(lite0)
    freeze(lite0)
    fit(lite0)
    assert variables_digest(lite0) == before
