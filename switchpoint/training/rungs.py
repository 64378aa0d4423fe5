"""Successive halving: where the rungs of a search end, and who goes on."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from switchpoint.errors import RecordsError, again
from switchpoint.provenance.digests import json_digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from switchpoint.documents.training import History, Search

# Tenths of a training's epochs after which the rungs end; the last has all. The first ends an epoch in ten after
# `better`'s warm-up: docs/search.md.
TENTHS = (3, 4)


def until(epochs: int, rung: int) -> int:
    """The epoch after which a training stops.

    Args:
        epochs: Of the whole training.
        rung: From 1; 0: none, it goes to its end.
    """
    return math.ceil(epochs * TENTHS[rung - 1] / 10) if rung else epochs


def survivors(histories: Sequence[History]) -> list[History]:
    """The better half, by the measure that the report chooses by; of an odd number one more than half.

    One that diverged goes on after all that did not: it comes no further, and early in a warm-up, where the sound ones
    stand below their start, what it fell back on would be ahead.

    Args:
        histories: Of candidates under one seed, each until the end of the same rung.

    Returns:
        In the order of their switch epochs and learning rates.

    Source:
        Jamieson and Talwalkar 2016, Non-stochastic Best Arm Identification and Hyperparameter Optimization
    """
    best = sorted(histories, key=_order)
    return sorted(best[: left(len(best))], key=candidate)


def _order(history: History) -> tuple[Any, ...]:
    return bool(history["diverged"]), preference(history), candidate(history)


def read(path: Path, digest: str) -> Search:
    """What halve wrote.

    Raises:
        RecordsError: It is not that.
    """
    document: Search = json.loads(path.read_text(encoding="utf-8"))
    if json_digest(document) != digest:
        raise RecordsError(f"{path} is not what halve wrote: its digest is another. {again('halve')}")
    return document


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
