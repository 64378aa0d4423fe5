"""Successive halving: where the rungs of a search end, and who goes on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switchpoint.documents.training import History

SHARES = (5, 2)  # of a training's epochs the first rung has a fifth, the second half; the last has all


def until(epochs: int, rung: int) -> int:
    """The epoch after which a training stops.

    Args:
        epochs: Of the whole training.
        rung: From 1; 0: none, it goes to its end.
    """
    return math.ceil(epochs / SHARES[rung - 1]) if rung else epochs


def survivors(histories: Sequence[History]) -> list[History]:
    """The better half, by the measure that the report chooses by; of an odd number one more than half.

    Args:
        histories: Of candidates under one seed, each until the end of the same rung.

    Returns:
        In the order of their switch epochs and learning rates.

    Source:
        Jamieson and Talwalkar 2016, Non-stochastic Best Arm Identification and Hyperparameter Optimization
    """
    best = sorted(histories, key=lambda history: (preference(history), *candidate(history)))
    return sorted(best[: left(len(best))], key=candidate)


def left(candidates: int) -> int:
    """How many of so many go on."""
    return math.ceil(candidates / 2)


def candidate(history: History) -> tuple[int, float]:
    """Which one it is: switch epoch and learning rate."""
    return history["switch_epoch"], history["learning_rate"]


def preference(history: History) -> tuple[float, float, int]:
    """Smallest for the best model: validation accuracy, then the lower loss, then fewer epochs in all."""
    epochs = history["switch_epoch"] + history["best_epoch"]
    loss = math.inf if history["validation_loss"] is None else history["validation_loss"]
    return -history["validation_accuracy"], loss, epochs
