"""The step that compares new photos, as KFP's executor calls it."""

import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.drift.component import drift
from tests.new_photos import KNOWN, draw, trained

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return next((trained(tmp_path_factory.mktemp("drift")) / "artifacts").glob("*/transfer"))


def compared(made: Path, place: Path, photos: Path | str) -> dict[str, Any]:
    def artifact(kind: type[dsl.Artifact], path: Path, seed: int) -> dsl.Artifact:
        return kind(name=path.name, uri=str(path), metadata={"digest": "d", "parameters": json.dumps({"seed": seed})})

    # Of two seeds, in any order; what the second one made is not even there.
    drift.python_func(
        references=[artifact(dsl.Artifact, place / "none", 2), artifact(dsl.Artifact, made / "reference", 1)],
        models=[artifact(dsl.Model, made / "model", 1), artifact(dsl.Model, place / "none", 2)],
        photos=str(photos),
        comparison=(comparison := dsl.Artifact(uri=str(place / "comparison"))),
        page=dsl.HTML(uri=str(place / "page")),
    )
    found: dict[str, Any] = json.loads((place / "comparison").read_text())
    assert comparison.metadata["sentence"] == found["sentence"]
    return found


def test_it_compares_with_the_lowest_seeds_reference(made: Path, tmp_path: Path) -> None:
    found = compared(made, tmp_path, draw(tmp_path / "darker", KNOWN, range(38, 50), 0.4))
    assert found["drift"]["drift"] and found["sentence"].startswith("Drift is shown: the 36 new photos")
    assert "Drift is shown" in (tmp_path / "page").read_text()


def test_too_few_photos_are_told_and_are_no_failure(made: Path, tmp_path: Path) -> None:
    found = compared(made, tmp_path, draw(tmp_path / "few", KNOWN[:1], range(5)))
    assert (
        found["drift"] is None
        and f"at {tmp_path / 'few'} were not compared: 5 new photos are too few" in found["sentence"]
    )
    assert found["sentence"] in (tmp_path / "page").read_text()
