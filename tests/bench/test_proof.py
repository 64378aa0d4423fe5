"""The report's intervals hold known truths as often as they say: in small, `make proof` in large."""

import numpy as np
import pytest

from bench.proof.coverage import covered
from switchpoint.inference import differences


@pytest.mark.parametrize(("photos", "seeds"), [(300, 1), (300, 2), (300, 3), (3000, 3)])
def test_intervals_hold_the_truth_as_often_as_they_say(photos: int, seeds: int) -> None:
    seen = covered("alike", photos, seeds, draws=150)
    # Of 150 draws at 95 %, 9 in 10,000 leave less than 89 %; one seed is neither too sure nor too careful.
    assert seen.each >= 0.89 and seen.jointly >= 0.89
    if seeds == 1:
        assert seen.each < 1 and seen.jointly < 1


def test_one_seed_by_hand() -> None:
    """100 photos: 12 won, 4 lost. With one added to each: mean 8/102; a variance of (18 − 64/102) / 101 a photo."""
    right = np.zeros((2, 1, 100), bool)
    right[1, 0, :12] = right[0, 0, 12:16] = True
    (found,) = differences(right)
    middle, error = 8 / 102, np.sqrt((18 - 64 / 102) / 101 / 102)
    assert found.share == pytest.approx(0.08)
    assert found.low == pytest.approx(middle - 1.96 * error, abs=0.002)
    assert found.high == pytest.approx(middle + 1.96 * error, abs=0.002)


def test_more_starts_widen_and_more_seeds_narrow() -> None:
    random = np.random.default_rng(0)
    right = random.random((6, 5, 400)) < 0.7
    two, six = differences(right[:2])[0], differences(right)[0]
    assert six.high - six.low > two.high - two.low
    few = differences(right[:, :2])[0]
    assert few.high - few.low > six.high - six.low


def test_starts_that_agree_on_all_photos_are_not_told_apart() -> None:
    right = np.tile(np.random.default_rng(0).random((1, 1, 50)) < 0.7, (3, 2, 1))
    assert all(each.low < 0 < each.high and each.share == 0 for each in differences(right))


def test_what_is_one_seeds_luck_is_not_a_starts_gain() -> None:
    """A start that is 6 points ahead in one seed and as far behind in the other."""
    random = np.random.default_rng(0)
    right = random.random((3, 2, 20_000)) < np.array([[0.7, 0.7], [0.76, 0.64], [0.7, 0.7]])[..., None]
    found = differences(right, [(1, 0)])[0]
    assert found.low < -0.05 and found.high > 0.05
