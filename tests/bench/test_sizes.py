from collections.abc import Callable
from pathlib import Path

import pytest

from bench.sizes import feature_cosine, photo_bytes, record_bytes
from components.prepare.step import PrepareConfig, prepare


@pytest.fixture
def place(folder: Callable[..., Path], tmp_path: Path) -> Path:
    """What the benchmark's set_up leaves, of eight photos at 32 pixels."""
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "photos").symlink_to(folder(cake=4, soup=4))
    prepare(
        tmp_path / "place" / "records-224",
        tmp_path / "look.html",
        tmp_path / "source.json",
        PrepareConfig(str(tmp_path / "place" / "photos"), image_size=32, seed=1),
    )
    return tmp_path / "place"


def test_bytes_are_those_of_the_files(place: Path) -> None:
    originals = [path.stat().st_size for path in place.glob("photos/*/*.jpg")]
    assert len(originals) == 8 and photo_bytes(place, 1).value == sum(originals)
    measured = record_bytes(place, 1)
    assert measured.value == sum(path.stat().st_size for path in place.glob("records-224/*.tfrecord"))
    assert 0.9 < (measured.feature_cosine or 0) < 1


def test_each_record_is_compared_with_its_own_photo(place: Path) -> None:
    right = feature_cosine(place / "photos", place / "records-224")
    cakes, soups = (sorted(place.glob(f"photos/{name}/*.jpg")) for name in ("cake", "soup"))
    for cake, soup in zip(cakes, soups, strict=True):
        bytes_of_cake = cake.read_bytes()
        cake.write_bytes(soup.read_bytes())
        soup.write_bytes(bytes_of_cake)
    assert feature_cosine(place / "photos", place / "records-224") < right - 0.05
