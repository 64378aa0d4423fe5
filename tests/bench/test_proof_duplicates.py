"""Planted copies, in small; `make proof ONLY=duplicates` in large."""

import random
from pathlib import Path

import numpy as np
import pytest

from bench.proof.duplicates import COPIES, measure, prints_of
from switchpoint.data.duplicates import DIFFERENT, fingerprint, near
from switchpoint.data.photos import decode


@pytest.mark.food101
@pytest.mark.parametrize("kind", list(COPIES))
def test_copies_among_real_photos_are_found_and_nothing_else(food101_mini: Path, kind: str) -> None:
    paths = sorted((food101_mini / "images").glob("*/*.jpg"))[::8]
    photos = [decode(path.read_bytes()) for path in paths]
    originals = list(map(fingerprint, photos))
    found = measure(photos, originals, COPIES[kind])
    assert np.count_nonzero(found.own <= DIFFERENT) >= 0.96 * found.planted
    assert not [pair for pair in found.others if pair[0] <= DIFFERENT]
    drawn = random.Random(0)
    prints = prints_of([*originals, *(fingerprint(COPIES[kind](photo, drawn)) for photo in photos)])
    assert len(near(prints, np.arange(len(prints)))) == np.count_nonzero(found.own <= DIFFERENT)
