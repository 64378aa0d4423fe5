"""The comparison itself, on numbers whose distribution is known."""

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from switchpoint.drift import study, words
from switchpoint.training.reference import Reference, measure, read, write

Array = np.ndarray[Any, Any]
CHANNELS = 32


def photos(random: np.random.Generator, count: int, shift: float = 0.0) -> tuple[Array, Array]:
    """Features of two classes that lie apart, and what a head would say of them."""
    labels = random.integers(0, 2, count)
    features = 4 + random.normal(size=(count, CHANNELS))
    features[:, 0] += labels * 4
    features[:, 1] += shift
    odds = np.exp(features[:, 0] - 6)
    return features, np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1)


def reference(random: np.random.Generator) -> Reference:
    features, probabilities = photos(random, 100)
    trained, said = photos(random, 300)
    return measure(features, probabilities, trained, said.argmax(axis=1), ["a", "b"], (43, 37, 32))


@pytest.mark.slow
def test_an_alarm_is_as_rare_as_it_says_and_a_change_is_found() -> None:
    random = np.random.default_rng(1)
    alarms = [study.p_value(photos(random, 50)[0], photos(random, 40)[0]) <= 0.05 for _ in range(100)]
    assert sum(alarms) <= 11  # five are expected; more than 11 have a chance of 1 in 230
    changed = [study.p_value(photos(random, 50)[0], photos(random, 40, shift=3)[0]) for _ in range(10)]
    assert max(changed) < study.ALPHA


def test_p_is_the_share_of_deals_that_lie_as_far_apart_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three photos against three can be dealt in 20 ways, which are all tried then."""
    features = np.array([[1, 0], [0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0, 1], [0.75, 0.25]], np.float16)
    lengths = features.astype(float) / np.linalg.norm(features.astype(float), axis=1, keepdims=True)
    distances = cdist(lengths, lengths)

    def energy(one: list[int]) -> float:
        other = [number for number in range(6) if number not in one]
        within = sum(distances[np.ix_(side, side)].mean() for side in (one, other))
        return float(2 * distances[np.ix_(one, other)].mean() - within)

    deals = [[a, b, c] for a in range(6) for b in range(a + 1, 6) for c in range(b + 1, 6)]
    expected = np.mean([energy(deal) >= energy([0, 1, 2]) - 1e-6 for deal in deals])
    assert study.p_value(features[:3], features[3:]) == pytest.approx(expected)


def test_a_reference_keeps_a_bounded_number_of_photos_and_is_read_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    random = np.random.default_rng(2)
    monkeypatch.setattr("switchpoint.training.reference.PHOTOS", 40)
    found = reference(random)
    assert found.features.shape == (40, CHANNELS) and found.probabilities.shape == (40, 2)
    assert found.means.shape == (2, CHANNELS) and found.means[1, 0] - found.means[0, 0] > 3
    write(tmp_path / "one", found)
    write(tmp_path / "two", found)
    again = read(tmp_path / "one")
    assert (again.classes, again.sizes) == (["a", "b"], (43, 37, 32))
    np.testing.assert_array_equal(again.features, found.features)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_most_unusual_photo_comes_first_and_the_sentence_has_the_numbers() -> None:
    random = np.random.default_rng(3)
    kept = reference(random)
    features, probabilities = photos(random, 30)
    features[7] = -features[7]  # as far from all as can be
    said = study.compare(kept, study.Seen([str(number) for number in range(30)], features, probabilities))
    assert (said["unusual"][0]["photo"], said["unusual"][0]["more_unusual_than"]) == ("7", 1.0)
    assert (said["photos"], said["reference"], said["beyond"]) == (30, 100, pytest.approx(2 / 30))
    assert not said["drift"] and words.sentence(said).startswith(
        "No drift is shown: the 30 new photos differ from the 100 that were held out"
    )
    moved = study.compare(kept, study.Seen([""] * 30, photos(random, 30, shift=6)[0], probabilities))
    assert words.sentence(moved) == (
        "Drift is shown: the 30 new photos look otherwise than the 100 that were held out from training "
        "(p = 0.001, α = 0.01)."
    )
    assert words.evidence(said)[0] == "7% of the new photos are more unusual than every one that was held out"
    assert words.evidence(said)[2].startswith("taken for ")
