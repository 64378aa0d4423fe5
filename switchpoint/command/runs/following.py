"""A run of this machine, seen from another terminal: its document says how its steps are, their logs what they say."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from switchpoint import progress
from switchpoint.command.errors import NoLogError
from switchpoint.command.runs import store
from switchpoint.command.runs.artifacts import maker
from switchpoint.command.runs.steps import log_name, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from switchpoint.command.documents import Run, Step
    from switchpoint.progress import Progress

POLL = 0.5  # seconds
WAITS = ("pending", "skipped")


class Watcher(Protocol):
    """What wants to know how a run goes; switchpoint.command.cli.console shows it to a person."""

    def started(self, step: Step) -> None:
        """A step runs from now on."""

    def line(self, step: Step, text: str) -> None:
        """A step printed a line."""

    def said(self, text: str) -> None:
        """Something of the run that is no step's."""

    def ended(self, step: Step) -> None:
        """A step has its final state."""


def follow(runs_directory: Path, run: str, watcher: Watcher, timeout: float | None = None) -> Run:
    """Tell what a run has done so far and what it does, until it ends; gives its document as it is then.

    Args:
        runs_directory: Where runs are.
        run: Its id.
        watcher: Told as if it had started the run.
        timeout: Seconds after which to stop; the run goes on.
    """
    end = None if timeout is None else time.monotonic() + timeout
    told: dict[object, Step] = {}
    logs = _Logs(runs_directory, run)
    while True:
        document = store.find(runs_directory, run)
        for step in document["steps"]:
            if step["state"] not in WAITS:
                _tell(step, told, watcher, logs)
        if document["state"] != "running" or (end is not None and time.monotonic() >= end):
            return document
        time.sleep(POLL)


def _tell(step: Step, told: dict[object, Step], watcher: Watcher, logs: _Logs) -> None:
    before = told.get(place(step))
    runs = step["state"] == "running"
    if before and before["state"] != "running":
        return
    if before is None and runs:
        watcher.started(step)
    # The one object that the watcher knows it by.
    known = told.setdefault(place(step), step)
    known.update(step)
    if before or runs:
        for line in logs.new(known, ended=not runs):
            watcher.line(known, line)
    if not runs:
        watcher.ended(known)


def lines(runs_directory: Path, run: str, step: str | None, follows: bool) -> Iterator[tuple[Step, str]]:
    """What a run's steps printed, line by line: step by step, or with `follows` as they come until the run ends.

    Args:
        runs_directory: Where runs are.
        run: Its id.
        step: What a step's log is called, or the start of it; None: all.
        follows: Stay with a run under way.

    Raises:
        NoLogError: The run has no such step, or no log of it.
    """
    logs = _Logs(runs_directory, run)
    while True:
        document = store.find(runs_directory, run)
        chosen = [each for each in document["steps"] if log_name(each).startswith(step or "")]
        if not chosen and document["state"] != "running":
            names = ", ".join(map(log_name, document["steps"])) or "none"
            raise NoLogError(f"Run {run} has no step {step}. It has: {names}.")
        for each in chosen:
            yield from ((each, line) for line in logs.new(each, ended=document["state"] != "running"))
        if not follows or document["state"] != "running":
            return
        time.sleep(POLL)


def said_last(runs_directory: Path, run: str, step: Step) -> Progress | str:
    """What a step that runs said last of how far it is; empty: nothing yet."""
    said = [found for line in _Logs(runs_directory, run).new(step) if (found := progress.read(line)) is not None]
    return said[-1] if said else ""


class _Logs:
    """The logs of a run, each read from where it was left."""

    def __init__(self, runs_directory: Path, run: str) -> None:
        self.runs_directory, self.run = runs_directory, run
        self.read: dict[Path, int] = {}

    def new(self, step: Step, ended: bool = False) -> list[str]:
        """Lines that came since; the last one, which may still grow, only when the run has ended."""
        path = self._path(step)
        try:
            with path.open("rb") as file:
                file.seek(self.read.get(path, 0))
                text = file.read()
        except FileNotFoundError:
            return []
        whole = len(text) if ended else text.rfind(b"\n") + 1
        self.read[path] = self.read.get(path, 0) + whole
        return text[:whole].decode(errors="replace").splitlines()

    def _path(self, step: Step) -> Path:
        """Of a step that came from the cache it is the log of the run that made it, if that is still there."""
        run = next(filter(None, map(maker, step.get("outputs", {}).values())), self.run)
        return self.runs_directory / (run if step["state"] == "cached" else self.run) / "logs" / f"{log_name(step)}.log"
