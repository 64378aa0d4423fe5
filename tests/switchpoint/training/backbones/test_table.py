"""Every row of the table against Keras: a row that is added is tested by its being there."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest

from switchpoint.errors import ParameterError, WeightsError
from switchpoint.provenance.digests import ROOT, step_files
from switchpoint.training.backbones.blocks import blocks
from switchpoint.training.backbones.build import network, preprocess
from switchpoint.training.backbones.table import (
    BACKBONES,
    LITE0,
    TABLE,
    Backbone,
    Preprocessing,
    local_weights,
    named,
    weights_digest,
)
from tests.switchpoint.training.backbones.networks import (
    Pair,
    check_blocks,
    check_pixels,
    copy_weights,
    entrance,
    pair,
)

pytestmark = [
    pytest.mark.slow,  # each row builds two networks
    pytest.mark.filterwarnings("ignore:`input_shape` is undefined or non-square:UserWarning"),
]
OF_KERAS = [row for row in TABLE if row.application]
RESNET = named("resnet50")


# Names and digests


def test_names_and_digests_need_no_keras() -> None:
    code = (
        "import sys; from switchpoint.training.backbones.table import TABLE, weights_digest\n"
        "for row in TABLE: row.no_imagenet or print(weights_digest(row.name, 'imagenet'))\n"
        "sys.exit(bool({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert len(set(lines)) == len(lines) == len([row for row in TABLE if not row.no_imagenet])


def test_a_files_digest_is_of_its_bytes() -> None:
    file = local_weights("imagenet")
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert weights_digest(LITE0, "imagenet") == sha256
    assert weights_digest("efficientnet_b0", str(file)) == sha256


def test_no_weights_have_one_digest_and_a_missing_file_none() -> None:
    assert weights_digest(LITE0, "none") == weights_digest("resnet50_v2", "none")
    with pytest.raises(WeightsError, match=r"'imagenet', 'none' or a file. There is no file 'nowhere\.h5'"):
        weights_digest(LITE0, "nowhere.h5")


def test_weights_without_a_hash_are_taken_as_a_file_alone() -> None:
    with pytest.raises(
        WeightsError, match=r"of mobilenet without a hash.*Fetch https://\S+/mobilenet_1_0_224_tf_no_top.h5"
    ):
        weights_digest("mobilenet", "imagenet")
    assert weights_digest("mobilenet", __file__) == weights_digest(LITE0, __file__)


@pytest.mark.parametrize("call", [lambda: named("b7"), lambda: weights_digest("b7", "")])
def test_an_unknown_name_lists_the_names(call) -> None:
    with pytest.raises(ParameterError, match=r"'b7'.*efficientnet_lite0, efficientnet_b0, .*resnet50_v2"):
        call()


def test_names_are_unique_and_lead_to_their_rows() -> None:
    assert [named(name) for name in BACKBONES] == list(TABLE)
    assert [row.name for row in TABLE if not row.application] == [LITE0]  # test_lite0.py tests that one


def test_an_edited_table_retrains_transfer_alone() -> None:
    """Fine-tuning has the block pattern from the checkpoints; only transfer builds."""
    room = "switchpoint/training/backbones/"
    files = {
        step: {path.name for path in step_files(step) if path.as_posix().startswith(room)} - {"__init__.py"}
        for step in ("prepare", "transfer", "finetune", "evaluate", "report")
    }
    everything = {"blocks.py", "build.py", "lite0.py", "pytorch.py", "table.py"}
    assert files == {
        "prepare": set(),
        "transfer": everything,
        "finetune": {"blocks.py"},
        "evaluate": set(),
        "report": set(),
    }


# Rows


@pytest.fixture(scope="module", params=OF_KERAS, ids=lambda row: row.name)
def built(request: pytest.FixtureRequest) -> Pair:
    """Built once: pytest runs all tests of a row before those of the next."""
    return pair(request.param)


def test_url_and_hash_are_keras_own(built: Pair) -> None:
    application = built.row.application
    assert application
    assert built.asked == [(application.url, application.file_hash)]


def test_the_smallest_image_is_keras_own(built: Pair) -> None:
    smallest = built.row.smallest
    with pytest.raises(ValueError, match=f"at least {smallest}x{smallest}"):
        network(built.row, smallest - 1)


def test_pixels_reach_the_network_as_its_family_wants_them(built: Pair) -> None:
    check_pixels(entrance(built.ours), built)


def test_a_row_with_other_preprocessing_does_not_pass(built: Pair) -> None:
    inside = {Preprocessing.INSIDE, Preprocessing.INSIDE_BUT_STD}
    right = inside if built.row.preprocessing in inside else {built.row.preprocessing}
    images = keras.Input(built.ours.input_shape[1:])
    for wrong in {Preprocessing.INSIDE, Preprocessing.TF, Preprocessing.TORCH, Preprocessing.CAFFE} - right:
        other = keras.Model(images, entrance(built.theirs)(preprocess(images, wrong)))
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            check_pixels(other, built)


def test_features_are_keras_own(built: Pair) -> None:
    expected = built.theirs(built.preprocess_input(built.photos()), training=False).numpy()
    features = built.ours(built.photos(), training=False).numpy()
    assert built.ours.name == "backbone"
    assert features.shape == (2, *built.ours.output_shape[1:])
    assert features.std() > 0
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_every_layer_is_in_a_block_of_the_right_size(built: Pair) -> None:
    check_blocks(built.ours, built.row.block_pattern)


def test_the_document_has_the_row(built: Pair) -> None:
    row, count = built.row, len(blocks(built.ours, built.row.block_pattern))
    imagenet = "no: give a file" if row.no_imagenet else "downloaded, by hash"
    line = f"| `{row.name}` | {built.ours.count_params() / 1e6:.1f} | {row.smallest} | {count} | {imagenet} |"
    assert line in (ROOT / "docs" / "backbones.md").read_text().splitlines()


# The checks themselves


def only(*names: str) -> pytest.MarkDecorator:
    """`built` of these rows."""
    return pytest.mark.parametrize("built", [named(name) for name in names], ids=names, indirect=True)


@only("resnet50")
def test_stages_do_not_pass_as_blocks(built: Pair) -> None:
    with pytest.raises(AssertionError):
        check_blocks(built.ours, r"conv[2-5]")


@only("efficientnet_b0")
def test_efficientnet_without_its_extra_rescaling_does_not_pass(built: Pair) -> None:
    wrong = network(replace(built.row, preprocessing=Preprocessing.INSIDE), 32)
    copy_weights(built.ours, wrong)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_pixels(entrance(wrong), built)


@pytest.mark.parametrize(
    ("pattern", "error"),
    [
        ("nothing", ParameterError),
        (RESNET.block_pattern, ParameterError),
        (r"block[2-7][a-z]", AssertionError),  # the first one in the stem
        (r"block[1-6][a-z]", AssertionError),  # the last one in the top
        (r"block\d+[ab]", AssertionError),  # c and d with b
        (r"block\d+[a-z]_\w+", AssertionError),  # parts of blocks
        (r"\w+", AssertionError),
    ],
)
def test_a_wrong_block_pattern_does_not_pass(
    unchanged_lite0: keras.Model, pattern: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        check_blocks(unchanged_lite0, pattern)


def test_a_row_without_preprocessing_or_block_pattern_cannot_be_written() -> None:
    for left_out in ("preprocessing", "block_pattern"):
        fields = {key: value for key, value in vars(RESNET).items() if key != left_out}
        with pytest.raises(TypeError, match=left_out):
            Backbone(**fields)
