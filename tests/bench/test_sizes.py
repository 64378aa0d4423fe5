from collections.abc import Callable
from pathlib import Path

import pytest

from bench.prepared import ours, prepare_records
from bench.sizes import feature_cosine, photo_bytes, record_bytes


@pytest.fixture
def directory(folder: Callable[..., Path], tmp_path: Path) -> Path:
    """What the benchmark's set_up leaves, of twenty photos at 32 pixels."""
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    (prepared / "photos").symlink_to(folder(cake=10, soup=10))
    prepare_records(prepared / "photos", ours(prepared), image_size=32, seed=1)
    return prepared


def test_bytes_are_those_of_the_files(directory: Path) -> None:
    originals = [path.stat().st_size for path in directory.glob("photos/*/*.jpg")]
    assert len(originals) == 20 and photo_bytes(directory, 1).value == sum(originals)
    measured = record_bytes(directory, 1)
    assert measured.value == sum(path.stat().st_size for path in directory.glob("records-224/*.tfrecord"))
    assert 0.9 < (measured.feature_cosine or 0) < 1


def test_each_record_is_compared_with_its_own_photo(directory: Path) -> None:
    right = feature_cosine(directory / "photos", directory / "records-224")
    cakes, soups = (sorted(directory.glob(f"photos/{name}/*.jpg")) for name in ("cake", "soup"))
    for cake, soup in zip(cakes, soups, strict=True):
        bytes_of_cake = cake.read_bytes()
        cake.write_bytes(soup.read_bytes())
        soup.write_bytes(bytes_of_cake)
    assert feature_cosine(directory / "photos", directory / "records-224") < right - 0.05
