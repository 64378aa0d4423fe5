"""What the orchestrator tells of its tasks, and whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from switchpoint.command.documents import Step

Outputs = dict[str, Any]


class Task(NamedTuple):
    """What is not cached, and so has to be done.

    Attributes:
        step: The task as the run's document shows it.
        outputs: Names of the artifacts it makes.
        begin: Notes that it runs from now on: until then it waits for others.
        run: Runs it the way kfp does; gives its outputs, or None when it failed.
        broken: Why what is in the cache does not count, if anything is.
    """

    step: Step
    outputs: list[str]
    begin: Callable[[], None]
    run: Callable[[], Outputs | None]
    broken: str


class Observer(Protocol):
    """Sees each task that the orchestrator comes to, and does those that are not cached."""

    steps: list[Step]

    def execute(self, task: Task) -> Outputs | None:
        """Do a task that is not cached; gives its outputs, or None when it failed."""

    def took(self, step: Step) -> None:
        """A step's outputs come from the cache, and nobody removes them before this returns."""

    def ended(self, step: Step) -> None:
        """A step has its final state."""


class Starter(Protocol):
    """Starts steps; gives their exit code, negative for a signal."""

    def process(self, step: Step, command: list[str], variables: dict[str, str]) -> int:
        """Run a step as a process of this machine, with these variables added to the environment."""

    def container(self, step: Step, *arguments: Any, **keywords: Any) -> int:
        """Run a step in a container; the arguments are those of `containers.run`, but for the first."""
