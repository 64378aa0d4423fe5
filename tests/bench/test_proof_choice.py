"""Rules that choose a start, by hand, and their regret where the best start is known."""

from typing import Any

import numpy as np
import pytest

from bench.proof import rules
from bench.proof.choice import TODAY, Outcome, Trained, chosen_on_half, compared, found

Array = np.ndarray[Any, Any]


def right(*hits: int, photos: int = 20) -> Array:
    """One seed: each start names its first so many photos right."""
    return np.array([[np.arange(photos) < number] for number in hits], float)


def test_one_standard_error_by_hand() -> None:
    """12 and 14 of 20, the same 12: two photos apart, mean 0.1, error √(0.09 · 20/19 / 20) = 0.069: 1.45 of them."""
    score = right(12, 14, 14)
    assert rules.ahead(score, 1, 0) == pytest.approx(0.1 / np.sqrt(0.09 / 19))
    assert rules.highest(score) == 1
    assert rules.cheapest(score) == 1
    assert rules.cheapest(score, errors=2) == 0
    assert rules.dearest(score) == 2
    assert rules.beaten(score) == 1
    assert rules.beaten(score, errors=2) == 0


def test_the_family_is_judged_before_its_members() -> None:
    """One lucky fine-tuning among worse ones does not bring transfer learning alone down."""
    assert rules.STARTS["family, then highest"](seen(right(14, 10, 16, 10))) == 0
    assert rules.STARTS["family, then highest"](seen(right(12, 11, 16, 12))) == 2
    assert rules.STARTS["family, then last"](seen(right(12, 11, 16, 12))) == 3
    assert rules.STARTS["highest accuracy"](seen(right(14, 10, 16, 10))) == 2


def seen(answers: Array) -> rules.Validated:
    return rules.Validated(answers, answers, 1 - answers, answers)


def test_the_epoch_is_chosen_as_the_rule_says() -> None:
    accuracy, loss = right(10, 16, 11, 14, 14, 15)[:, 0], np.ones((6, 20))
    loss[2] = 0.5
    chosen = {name: rule(accuracy, loss) for name, rule in rules.EPOCHS.items()}
    assert chosen == {
        "highest accuracy": 1,
        "lowest loss": 2,
        "last": 5,
        "smoothed accuracy": 5,
        "latest within one error": 5,
    }


def test_regret_is_what_the_best_start_has_more() -> None:
    """Two starts that 400 photos tell apart: little is lost by looking, all 30 points by never fine-tuning."""
    random = np.random.default_rng(1)
    starts = [Trained(random.random((1, 3, 1000)) < share, np.ones((1, 3, 1000))) for share in (0.5, 0.8)]
    of_draws = found([Outcome(starts, 400, 500, 1.0)] * 3, times=5)
    lost = {(row.epoch, row.start): row for row in compared(of_draws)}
    assert lost[TODAY].regret == pytest.approx(0, abs=2) and lost[TODAY].saved == 0
    assert lost["last", "transfer alone"].regret == pytest.approx(30, abs=5)
    assert lost["last", "transfer alone"].saved == pytest.approx(-30, abs=5)
    assert of_draws.honest == pytest.approx([80] * 3, abs=5)
    assert chosen_on_half(of_draws) == pytest.approx(0, abs=2)
