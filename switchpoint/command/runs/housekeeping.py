"""Removing runs and what no run needs any more: nothing that a run that stays has, and nothing of one under way.

An artifact belongs to every run whose document has it, whichever made it (docs/adr/0017). What goes is first moved to
runs/.trash, so that nothing is ever seen half removed; what a killed removal left there goes with the next.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from switchpoint.command.errors import RunUnderWayError
from switchpoint.command.runs import store
from switchpoint.command.runs.artifacts import ARTIFACTS, RUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from switchpoint.command.documents import Run

TRASH = ".trash"


class Removed(NamedTuple):
    """What was removed, or would be.

    Attributes:
        runs: Their ids.
        artifacts: Directories of steps that no run has any more, relative to the runs' directory.
        states: Whether those of killed trainings go: no run is left that would go on from one.
        bytes: What the disk gets back: a file that is elsewhere under another name gives back nothing.
    """

    runs: list[str]
    artifacts: list[str]
    states: bool
    bytes: int


def remove(runs_directory: Path, wanted: Sequence[str]) -> Removed:
    """Remove runs, and what only they had.

    Args:
        runs_directory: Where runs are.
        wanted: Ids, or the starts of them.

    Raises:
        RunNotFoundError: One is none, or the start of several; then nothing is removed.
        RunUnderWayError: One is under way; then nothing is removed.
    """
    # Where there is no directory there is no run, and `held` would make one.
    with store.held(runs_directory, alone=True) if runs_directory.is_dir() else nullcontext():
        artifacts = _artifacts(runs_directory)
        runs = list({run["id"]: run for run in (store.find(runs_directory, each) for each in wanted)}.values())
        if under_way := [run["id"] for run in runs if run["state"] == "running"]:
            raise RunUnderWayError(
                f"{', '.join(under_way)} is under way and is not removed. End it first, with Ctrl-C where it runs."
            )
        return _cleared(runs_directory, {run["id"] for run in runs}, artifacts, dry_run=False)


def collect(runs_directory: Path, keep: int | None, dry_run: bool) -> Removed:
    """Remove what no run has, and of the runs that are not under way all but the newest.

    Args:
        runs_directory: Where runs are.
        keep: How many of them stay; None: all.
        dry_run: Say what would go, and remove nothing.
    """
    if not runs_directory.is_dir():
        return Removed([], [], False, 0)
    with nullcontext() if dry_run else store.held(runs_directory, alone=True):
        artifacts = _artifacts(runs_directory)
        ended = [run["id"] for run in store.every(runs_directory) if run["state"] != "running"]
        return _cleared(runs_directory, set() if keep is None else set(ended[keep:]), artifacts, dry_run)


def sizes(runs_directory: Path, documents: Sequence[Run]) -> dict[str, int]:
    """Bytes that the disk would get back if a run were removed, by its id."""
    runs_directory = runs_directory.resolve()
    has = {document["id"]: _places(runs_directory, document) for document in documents}
    users = Counter(place for places in has.values() for place in places)
    return {
        run: freed([runs_directory / run, *(place for place in places if users[place] == 1)])
        for run, places in has.items()
    }


def freed(paths: Iterable[Path]) -> int:
    """Bytes that the disk gets back when all of these go: of a file with several names only if it loses them all."""
    names: Counter[tuple[int, int]] = Counter()
    found: dict[tuple[int, int], os.stat_result] = {}
    for path in paths:
        for file in path.rglob("*") if path.is_dir() else [path]:
            if not file.is_dir() and (file.exists() or file.is_symlink()):
                state = file.lstat()
                names[state.st_dev, state.st_ino] += 1
                found[state.st_dev, state.st_ino] = state
    return sum(state.st_size for key, state in found.items() if names[key] >= state.st_nlink)


def _artifacts(runs_directory: Path) -> set[Path]:
    """Directories of steps. Look before reading documents: a run is written down before it makes any."""
    return set(runs_directory.resolve().glob(f"{ARTIFACTS}/*/*"))


def _places(runs_directory: Path, document: Run) -> set[Path]:
    """Directories of the steps whose outputs a run has."""
    paths = (Path(path) for step in document["steps"] for path in step.get("outputs", {}).values())
    return {path.parent for path in paths if path.is_relative_to(runs_directory / ARTIFACTS)}


def _cleared(runs_directory: Path, runs: set[str], artifacts: set[Path], dry_run: bool) -> Removed:
    """Remove these runs, and of the artifacts those that no run has that stays, nor makes now."""
    runs_directory = runs_directory.resolve()
    staying = [document for document in store.every(runs_directory) if document["id"] not in runs]
    needed = set().union(*(_places(runs_directory, document) for document in staying))
    at_work = {document["id"] for document in staying if document["state"] == "running"}
    lost = sorted(place for place in artifacts - needed if place.parent.name not in at_work)
    own = [*(runs_directory / run for run in sorted(runs)), *_unborn(runs_directory)]
    states = _states(runs_directory, staying)
    going = [*own, *lost, *states]
    trash = runs_directory / TRASH
    found = Removed(
        sorted(runs),
        [str(place.relative_to(runs_directory)) for place in lost],
        bool(states),
        freed([*going, *trash.glob("*")]),
    )
    if not dry_run:
        _forget(runs_directory, set(lost))
        shutil.rmtree(trash, ignore_errors=True)
        trash.mkdir()
        for number, path in enumerate(going):
            path.rename(trash / str(number))
        shutil.rmtree(trash)
        for place in {place.parent for place in lost}:
            if not any(place.iterdir()):
                place.rmdir()
    return found


def _unborn(runs_directory: Path) -> list[Path]:
    """Directories of runs that were killed before they were written down: while `held` alone, none is about to be."""
    found = (path for path in runs_directory.iterdir() if RUN.fullmatch(path.name))
    return sorted(path for path in found if not (path / store.MANIFEST).exists())


def _states(runs_directory: Path, staying: Iterable[Run]) -> list[Path]:
    """States of killed trainings, if no run is there that would go on from them."""
    states = runs_directory / store.STATES
    goes_on = any(document["state"] != "succeeded" for document in staying)
    return [states] if states.is_dir() and not goes_on else []


def _forget(runs_directory: Path, lost: set[Path]) -> None:
    """Remove the cache's entries of artifacts that go. Before these do: then none is of what is half gone."""
    for entry in (runs_directory / store.CACHE).glob("*.json"):
        try:
            outputs = json.loads(entry.read_text(encoding="utf-8")).values()
            uris = [output["uri"] for output in outputs if isinstance(output, dict)]  # a parameter is none
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            uris = []
        places = {(runs_directory / uri).parent for uri in uris}
        if not uris or places & lost or not all(place.is_dir() for place in places):
            entry.unlink(missing_ok=True)
