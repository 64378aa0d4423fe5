from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components.trainings import prepared, train, tune
from tests.shallow import shallow


@pytest.fixture(scope="module", autouse=True)
def _shallow() -> Iterator[None]:
    with shallow():
        yield


@pytest.fixture(scope="session")
def small_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from switchpoint.data.sources import dishes as sample

    place = tmp_path_factory.mktemp("photos")
    for dish in list(sample.DISHES)[:3]:
        (place / "dishes" / dish).mkdir(parents=True)
        for number in range(14):
            data = sample.photograph(f"{dish}/train-{number:03d}.jpg")
            (place / "dishes" / dish / f"{number}.jpg").write_bytes(data)
    prepared(place, place / "dishes", seed=3, validation_fraction=0.15)  # 27, 9 and 6 photos
    return place / "records"


@pytest.fixture(scope="session")
def transferred(small_records: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("transferred")
    with shallow():
        train(small_records, place)
    return place


@pytest.fixture(scope="session")
def finetuned(small_records: Path, transferred: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("finetuned")
    with shallow():
        tune(small_records, transferred, place)
    return place
