"""Which start validation recommends, by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.report.choice import FEWEST, choose, latest
from components.report.starts import Training
from switchpoint.training.kept import near

Array = np.ndarray[Any, Any]


def right(*wrong: tuple[int, int], photos: int = 400) -> Array:
    """One seed: the photos that each start gets wrong, from one number up to another."""
    return np.array([[~np.isin(np.arange(photos), range(*each))] for each in wrong])


def training(switch_epoch: int, answers: Array, loss: float = 1.0, diverged: bool = False) -> Training:
    history: Any = {
        "switch_epoch": switch_epoch,
        "best_epoch": 1,
        "validation_accuracy": answers.mean(),
        "validation_loss": loss,
    }
    return Training({"diverged": diverged}, history, {}, Path())  # type: ignore[typeddict-item]


def chosen(answers: Array, losses: tuple[float, ...] = (), diverged: int | None = None) -> tuple[int, str, str | None]:
    """Of the start with the number `diverged` each training did."""
    losses = losses or (1.0,) * len(answers)
    starts = [
        [training(2 * number, seed, loss, number == diverged) for seed in each]
        for number, (each, loss) in enumerate(zip(answers, losses, strict=True))
    ]
    return choose(answers, starts)


def test_the_latest_that_is_not_shown_worse_is_recommended() -> None:
    """Start 1 has all of 400 right. Start 2 lacks 1: 1/400 below, and not twice its standard error (two photos added).

    A photo's variance is (1 + 2 − 1/402) / 401, the error √(3 / 401 / 402) = 0.0043. Start 3 lacks 6: 0.015, and
    twice an error of √(8 / 401 / 402) = 0.007.
    """
    number, why, warning = chosen(right((0, 90), (0, 0), (0, 1), (0, 6)))
    assert (number, warning) == (2, None)
    assert why == "the latest start within two standard errors of the highest validation accuracy"


def test_a_start_that_is_shown_better_wins_wherever_it_is() -> None:
    assert chosen(right((0, 0), (0, 30), (0, 40)))[:2] == (0, "the highest validation accuracy")
    assert chosen(right((0, 40), (0, 0), (0, 30)))[0] == 1
    assert chosen(right((0, 40), (0, 30), (0, 0)))[:2] == (2, "the highest validation accuracy")


def test_more_photos_tell_more() -> None:
    """The same two points: noise of 50 photos that disagree on 20 %, knowledge of 5,000."""
    few, many = ([(0, each * 9 // 100), (each * 9 // 100, each * 20 // 100)] for each in (50, 5000))
    assert latest(right(*few, photos=50), 0) == 1
    assert latest(right(*many, photos=5000), 0) == 0


def test_seeds_are_pooled_and_what_they_vary_by_counts() -> None:
    """2 points behind in every seed is known; 30 behind and 26 ahead is luck."""
    steady = np.concatenate([right((0, 0), (0, 8))] * 3, axis=1)
    assert latest(steady, 0) == 0
    lucky = np.concatenate([right((0, 120), (0, 240)), right((0, 224), (0, 120))], axis=1)
    assert latest(lucky, 0) == 1


def shares(*starts: tuple[int, ...], photos: int = 300) -> Array:
    """Of each start the percent of photos that each seed gets right: the same ones first."""
    return np.array([[np.arange(photos) < photos * seed // 100 for seed in each] for each in starts])


@pytest.mark.parametrize("photos", [85, 300, 3000])
@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        (((78, 78, 78), (78, 78, 8)), 0),
        (((78, 78, 78), (79, 79, 60)), 0),
        (((78, 78, 78), (78, 8, 78), (78, 78, 8)), 0),
        (((40, 41, 40), (78, 79, 78), (78, 62, 60)), 1),
        (((40, 41), (78, 78), (78, 78), (78, 60)), 2),
        (((40, 41, 40), (78, 79, 78), (78, 78, 79)), 2),
    ],
)
def test_a_start_that_fails_under_a_seed_is_not_excused_by_how_much_it_varies(
    photos: int, starts: tuple[tuple[int, ...], ...], expected: int
) -> None:
    assert chosen(shares(*starts, photos=photos))[0] == expected


def test_one_that_diverged_is_not_taken_for_being_late() -> None:
    near = shares((40, 41, 40), (78, 79, 78), (78, 78, 77))
    assert (chosen(near)[0], chosen(near, diverged=2)[0]) == (2, 1)


def test_what_diverged_is_recommended_where_it_is_the_highest() -> None:
    assert chosen(shares((40, 40), (60, 60), (90, 70)), diverged=2)[:2] == (2, "the highest validation accuracy")


def test_of_equals_the_lower_loss_is_the_best_to_begin_with() -> None:
    same = right((0, 40), (40, 80), (0, 200))
    assert latest(same, 0) == latest(same, 1) == 1
    assert chosen(same, (1.0, 0.5, 0.5))[:2] == (1, "the highest validation accuracy, and of equals the lower loss")


def test_it_is_said_when_validation_is_too_small_to_choose_by() -> None:
    number, _, warning = chosen(right((0, 9), (0, 10), photos=30))
    assert number == 1
    assert warning and warning.startswith("There are 30 of them, and one is 3.3 points: too few to choose by; ")
    assert chosen(right((0, 9), (0, 10), photos=FEWEST - 1))[2]
    assert chosen(right((0, 9), (0, 10), photos=FEWEST))[2] is None


def test_transfer_learning_alone_may_be_all_that_there_is() -> None:
    assert chosen(right((0, 40)))[:2] == (0, "the highest validation accuracy")


@pytest.mark.parametrize(("accuracy", "photos", "kept"), [(0.75, 100, False), (0.76, 100, True), (0.77, 400, False),
                                                          (0.78, 400, True), (0.8, 1, True)])  # fmt: skip
def test_an_epoch_is_kept_within_a_standard_error_of_the_highest(accuracy: float, photos: int, kept: bool) -> None:
    """Of 0.8 on 100 photos it is √(0.8 · 0.2 / 100) = 0.04; on 400 photos 0.02."""
    assert near(accuracy + 1e-9, 0.8, photos) is kept
