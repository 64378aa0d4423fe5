"""Data sets of tensorflow-datasets."""

import io
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from switchpoint.data.photos import decode
from switchpoint.data.sources import digest, open_source
from switchpoint.errors import DatasetError
from tests.switchpoint.data.listings import contents, listing


@pytest.fixture
def local_builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jpeg: Callable[..., bytes]) -> Callable[..., str]:
    """Registers and prepares a small dataset; gives its name."""
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))

    def make(*splits: str, version: str = "1.2.3") -> str:
        class Dishes(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[misc]
            VERSION = tfds.core.Version(version)

            def _info(self) -> object:
                features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=["pho", "pie"])}
                return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

            def _split_generators(self, _: object) -> dict[str, Iterator[object]]:
                return {split: self._generate_examples(split) for split in splits}

            def _generate_examples(self, split: str) -> Iterator[tuple[int, object]]:
                for index in range(10):
                    yield index, {"image": io.BytesIO(jpeg(split, index)), "label": index % 2}

        builder = Dishes(data_dir=tmp_path)
        monkeypatch.setattr(tfds, "builder", lambda name: builder)
        return "tfds:dishes"

    return make


def test_tfds_keeps_its_split_and_its_bytes(local_builder: Callable[..., str], jpeg: Callable[..., bytes]) -> None:
    source = open_source(local_builder("train", "validation"))
    assert source.classes == ["pho", "pie"]
    assert len(source) == len(list(source)) == 20
    assert Counter((label, split) for _, label, split in listing(source)) == {
        (label, split): 5 for label in (0, 1) for split in ("train", "test")
    }
    assert sorted(contents(source).values()) == sorted(
        jpeg(split, index) for split in ("train", "validation") for index in range(10)
    )
    assert listing(source) == listing(source)


def test_tfds_prefers_test_to_validation(local_builder: Callable[..., str]) -> None:
    source = open_source(local_builder("train", "validation", "test"))
    assert {name.split("/")[1].split("-")[0] for name, _, split in listing(source) if split == "test"} == {"test"}


def test_tfds_without_a_test_split_has_none_of_its_own(local_builder: Callable[..., str]) -> None:
    source = open_source(local_builder("train"))
    assert source.own == set()
    assert Counter((label, split) for _, label, split in listing(source)) == {(0, "train"): 5, (1, "train"): 5}


def test_tfds_leaves_nothing_in_the_temporary_directory(
    local_builder: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    import tensorflow_datasets as tfds

    name = local_builder("train")
    builder = tfds.builder(name)

    def make(_: str) -> object:
        tempfile.mkdtemp("tfds")  # as DatasetInfo.initialize_from_bucket does
        return builder

    monkeypatch.setattr(tfds, "builder", make)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    contents(open_source(name))
    assert os.listdir(tmp_path / "tmp") == []
    assert tempfile.gettempdir() == str(tmp_path / "tmp")


def test_tfds_digest_is_of_name_and_version(local_builder: Callable[..., str]) -> None:
    first = digest(local_builder("train"))
    assert digest(local_builder("train")) == first != digest(local_builder("train", version="1.2.4"))


def test_tfds_own_mock_is_read(local_builder: Callable[..., str]) -> None:
    tfds = pytest.importorskip("tensorflow_datasets")
    dataset = local_builder("train", "test")
    open_source(dataset)  # prepares it: the mock knows no splits of its own
    with tfds.testing.mock_data(num_examples=6):
        photos = list(open_source(dataset))
    assert Counter(photo.split for photo in photos) == {"train": 6, "test": 6}
    assert decode(photos[0].read()).mode == "RGB"


def test_a_tfds_dataset_that_cannot_be_had_says_so(
    local_builder: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tfds = pytest.importorskip("tensorflow_datasets")
    dataset = local_builder("train")

    def refuse(*_: object) -> None:
        raise ConnectionError("no route to host\nmore")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", refuse)
    with pytest.raises(DatasetError, match=r"can't be downloaded or prepared: no route to host\."):
        open_source(dataset)


def test_an_unknown_tfds_name_says_so() -> None:
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(DatasetError, match=r"tfds:no_such_dishes: .*not found"):
        digest("tfds:no_such_dishes")


def test_tfds_without_its_package_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(DatasetError, match="tfds:mnist needs the package tensorflow-datasets"):
        open_source("tfds:mnist")
