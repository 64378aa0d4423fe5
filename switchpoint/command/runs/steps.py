"""A run's steps: which is which, and in what order a person sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from switchpoint.provenance.digests import STEPS

if TYPE_CHECKING:
    from switchpoint.command.documents import Step


def place(step: Step) -> tuple[str, int | None, int | None]:
    """Which of the steps of its name it is: name, seed, switch epoch."""
    return step["name"], step.get("seed"), step["switch_epoch"]


def order(step: Step) -> tuple[Any, ...]:
    """Where a step stands in the list: the way the data goes, one seed and one switch epoch after the other."""
    name, seed, switch_epoch = place(step)
    return name == "report", -1 if seed is None else seed, name == "collect", switch_epoch or 0, STEPS.index(name)


def log_name(step: Step) -> str:
    """What a step's log is called: `finetune-04-seed-1`."""
    name, seed, switch_epoch = place(step)
    epoch = "" if switch_epoch is None else f"-{switch_epoch:02d}"
    return name + epoch + ("" if seed is None else f"-seed-{seed}")
