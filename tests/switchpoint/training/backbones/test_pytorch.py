import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from switchpoint.errors import WeightsError
from switchpoint.training.backbones import pytorch
from switchpoint.training.backbones.build import build
from switchpoint.training.backbones.table import LITE0, local_weights


def header() -> bytes:
    """The pickles that come before the state dict."""
    return b"".join(pickle.dumps(value, protocol=2) for value in (pytorch.MAGIC, 1001, {}))


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


def test_a_whole_file_gives_its_tensors() -> None:
    tensors = pytorch.read(local_weights("imagenet"))
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_bn0.running_var"].dtype == np.float32
    assert (tensors["_bn0.running_var"] >= 0).all()


@pytest.mark.parametrize("before", [b"", header()])
def test_a_malicious_pickle_is_refused_and_does_nothing(before: bytes, tmp_path: Path) -> None:
    attack = pickle.dumps({"weight": Malicious(tmp_path / "owned")}, protocol=2)
    (tmp_path / "evil.pth").write_bytes(before + attack)
    with pytest.raises(WeightsError, match=r"it asks for (posix|nt)\.mkdir"):
        build(LITE0, str(tmp_path / "evil.pth"), 32)
    assert not (tmp_path / "owned").exists()
    # The check can fail: a plain load does what it is told.
    pickle.load(io.BytesIO(attack))
    assert (tmp_path / "owned").exists()


@pytest.mark.parametrize("length", [0, 10, 100, 30_000, 60_000, 10_000_000, -1])
def test_a_file_cut_short_is_refused(length: int, tmp_path: Path) -> None:
    (tmp_path / "cut.pth").write_bytes(local_weights("imagenet").read_bytes()[:length])
    with pytest.raises(WeightsError, match="not a whole file of weights"):
        pytorch.read(tmp_path / "cut.pth")


def test_a_tensor_that_reaches_outside_its_storage_is_refused(tmp_path: Path) -> None:
    data = local_weights("imagenet").read_bytes()
    strides = b"M\x20\x01K\x60"  # the stem's 288 and 96
    assert strides in data
    (tmp_path / "outside.pth").write_bytes(data.replace(strides, b"M\xff\xffK\x60", 1))
    with pytest.raises(WeightsError, match="strides"):
        pytorch.read(tmp_path / "outside.pth")


def test_pytorchs_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zip.pth").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(WeightsError, match="_use_new_zipfile_serialization=False"):
        pytorch.read(tmp_path / "zip.pth")
