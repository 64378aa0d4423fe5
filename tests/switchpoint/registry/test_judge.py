"""Whether a challenger is not worse: how often that is right is counted on drawn answers."""

import numpy as np
import pytest

from switchpoint.registry.judge import judge


def answers(
    generator: np.random.Generator, photos: int, challenger: float, reference: float
) -> tuple[np.ndarray, np.ndarray]:
    """Which photos two models name right, which agree more often than by chance."""
    hard = generator.random(photos)
    noise = generator.normal(scale=0.05, size=(2, photos))
    return hard + noise[0] < challenger, hard + noise[1] < reference


def test_each_outcome_has_its_figures() -> None:
    generator = np.random.default_rng(0)
    better = judge(*answers(generator, 2000, 0.9, 0.8), margin=1)
    assert better.outcome == "promoted" and better.low > 0
    assert better.points == pytest.approx(better.challenger - better.reference)
    assert better.low < better.points < better.high
    worse = judge(*answers(generator, 2000, 0.7, 0.8), margin=1)
    assert worse.outcome == "worse" and worse.high < -1
    undecided = judge(np.arange(60) < 48, np.arange(60) < 48, margin=1)
    assert undecided.outcome == "undecided" and undecided.low < -1 <= undecided.high
    assert undecided.needed is not None and undecided.needed > 60


@pytest.mark.slow
def test_as_many_photos_as_it_asks_for_are_enough_in_about_four_of_five_cases() -> None:
    generator = np.random.default_rng(1)
    needed = judge(*answers(generator, 4000, 0.8, 0.8), margin=1).needed
    assert needed is not None
    outcomes = [judge(*answers(generator, needed, 0.8, 0.8), margin=1).outcome for _ in range(200)]
    assert 0.7 < outcomes.count("promoted") / 200 < 0.92


@pytest.mark.slow
def test_one_that_is_worse_by_the_margin_is_promoted_in_one_of_twenty_cases() -> None:
    generator = np.random.default_rng(2)
    outcomes = [judge(*answers(generator, 1500, 0.78, 0.80), margin=2).outcome for _ in range(600)]
    assert 0.02 < outcomes.count("promoted") / 600 < 0.08


def test_two_that_answer_alike_are_told_apart_by_no_more_than_the_photos_show() -> None:
    same = np.ones(50, bool)
    assert judge(same, same, margin=1).outcome == "undecided"
    assert judge(np.ones(400, bool), np.ones(400, bool), margin=1).outcome == "promoted"
