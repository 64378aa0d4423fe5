"""Successive halving: where rungs end, and who goes on."""

from typing import Any

import pytest

from switchpoint.training import rungs


@pytest.mark.parametrize(
    ("epochs", "ends"), [(10, [3, 4, 10]), (14, [5, 6, 14]), (3, [1, 2, 3]), (2, [1, 1, 2]), (1, [1, 1, 1])]
)
def test_rungs_end_after_three_and_four_tenths_and_all_rounded_up(epochs: int, ends: list[int]) -> None:
    assert [rungs.until(epochs, rung) for rung in (1, 2, 0)] == ends


def history(switch_epoch: int, rate: float, accuracy: float, loss: float = 1.0, diverged: bool = False) -> Any:
    return {
        "switch_epoch": switch_epoch,
        "learning_rate": rate,
        "validation_accuracy": accuracy,
        "validation_loss": loss,
        "best_epoch": 1,
        "diverged": {"epoch": 1, "step": 1, "learning_rate": rate} if diverged else None,
    }


def test_the_better_half_goes_on_in_the_candidates_order() -> None:
    tried = [history(4, 1e-4, 0.5), history(1, 3e-4, 0.7), history(1, 1e-4, 0.6), history(4, 3e-4, 0.4)]
    tried.append(history(8, 1e-4, 0.8))
    assert [rungs.candidate(each) for each in rungs.survivors(tried)] == [(1, 1e-4), (1, 3e-4), (8, 1e-4)]
    assert [rungs.candidate(each) for each in rungs.survivors(tried[:1])] == [(4, 1e-4)]


def test_of_equals_the_lower_loss_goes_on_then_fewer_epochs_and_a_diverged_one_last() -> None:
    tried = [history(1, 1e-4, 0.9, 0.1, diverged=True), history(2, 1e-4, 0.5, 0.9), history(3, 1e-4, 0.5, 0.8)]
    tried += [history(5, 1e-4, 0.5, 0.8)]
    assert [each["switch_epoch"] for each in rungs.survivors(tried)] == [3, 5]
    assert [each["switch_epoch"] for each in rungs.survivors([*tried[2:], history(4, 1e-4, 0.4)])] == [3, 5]
    assert [each["switch_epoch"] for each in rungs.survivors(tried[2:])] == [3]
