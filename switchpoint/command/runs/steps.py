"""A run's steps: which is which, and in what order a person sees them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from switchpoint.provenance.digests import AT_END, STEPS

if TYPE_CHECKING:
    from switchpoint.command.documents import Step

Loops = Mapping[str, Any]  # a run's parameters, of which the lists that it loops over count
RATES = "finetune_learning_rate"


def rounds(parameters: Loops) -> list[tuple[int, float]]:
    """Switch epoch and learning rate of each round of the loop over candidates, in their order.

    Args:
        parameters: Of a run; another version's may lack a list, and then there are none.
    """
    from components.digest.step import candidates

    epochs, rates = parameters.get("switch_epochs"), parameters.get(RATES)
    if not isinstance(epochs, list) or not isinstance(rates, list):
        return []
    return [(each["switch_epoch"], each["learning_rate"]) for each in candidates(epochs, rates)]


def several(parameters: Loops, name: str) -> bool:
    """Whether a run loops over several values of a parameter, so that a person is told which one it is."""
    values = parameters.get(name)
    return isinstance(values, list) and len(values) > 1


def place(step: Step) -> tuple[str, int | None, int | None, float | None, int | None]:
    """Which of the steps of its name it is: name, seed, switch epoch, learning rate, rung."""
    return step["name"], step["seed"], step["switch_epoch"], step["learning_rate"], step.get("rung")


def order(step: Step) -> tuple[Any, ...]:
    """Where a step stands in the list: the way the data goes, one seed and one switch epoch after the other."""
    name, seed, switch_epoch, rate, rung = place(step)
    by_seed = -1 if seed is None else seed
    # A search comes before what is trained to its end.
    stage = 0 if name in ("digest", "prepare", "transfer") else rung or math.inf
    last = name in ("report", *AT_END), by_seed, name == "collect"
    return *last, stage, name == "halve", switch_epoch or 0, rate or 0.0, STEPS.index(name)


def log_name(step: Step) -> str:
    """What a step's log is called, and the folder of what it makes, so no two alike: `finetune-04-0.0003-seed-1`."""
    name, seed, switch_epoch, rate, rung = place(step)
    candidate = "" if switch_epoch is None else f"-{switch_epoch:02d}-{rate}"
    return name + candidate + ("" if seed is None else f"-seed-{seed}") + (f"-rung-{rung}" if rung else "")
