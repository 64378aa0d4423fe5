"""The runs of this machine: a directory each, with a manifest that says everything about the run.

runs/20261124-101502-3f9a/run.json      the manifest, rewritten whenever a step changes state
                         /lock          held with flock by the command for as long as it lives
                         /logs/         a file a step
                         /about.json    what a person says of the run; its command, which rewrites the manifest, doesn't
runs/artifacts/20261124-101502-3f9a/finetune-04-0.0003-seed-1/…  what a step made: of every run that has it
runs/.cache/                            kfp's cache entries
runs/.resume/                           states of trainings that were killed
runs/.lock                              see `held`

Paths on disk are relative to the runs' directory, so that it can be moved; in memory they are whole.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import secrets
import subprocess
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from switchpoint.command.errors import RunNotFoundError, RunsDirectoryError
from switchpoint.command.runs.steps import RATES
from switchpoint.cores import cores
from switchpoint.files import write_json
from switchpoint.provenance.digests import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from switchpoint.command.documents import About, Run, Step
    from switchpoint.documents.lineage import Parameters

MANIFEST = "run.json"
LOCK = "lock"
ABOUT = "about.json"
CACHE = ".cache"
STATES = ".resume"
PACKAGES = ("switchpoint", "kfp", "keras", "tensorflow", "tensorflow-cpu", "numpy", "pillow")


def now() -> str:
    """The time in UTC, to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def create(runs_directory: Path, parameters: Parameters, runner: str, about: About | None = None) -> Run:
    """A new run's document, with a directory that no other run has, and what a person says of it."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    run = f"{stamp}-{secrets.token_hex(2)}"
    with _writable(runs_directory):
        (runs_directory / run / "logs").mkdir(parents=True)
    describe(runs_directory, run, about or {})
    document: Run = {
        "id": run,
        "state": "running",
        "parameters": parameters,
        "steps": [],
        "results": [],
        "left_out": [],
        "report": None,
        "model": None,
        "started": now(),
        "ended": None,
        "runner": runner,
        "process": os.getpid(),
        "cores": cores(),
        "versions": _versions(),
        "commit": commit(),
    }
    return {**document, **_about(runs_directory / run / ABOUT)}


@contextmanager
def _writable(runs_directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunsDirectoryError(
            f"{runs_directory} can't be written: {error.strerror}. Name another directory with --runs-dir."
        ) from error


def describe(runs_directory: Path, run: str, about: About) -> None:
    """Say something of a run, or something else; an empty text takes back what was said."""
    path = runs_directory / run / ABOUT
    said = {name: text for name, text in {**_about(path), **about}.items() if text}
    if said or path.exists():
        write_json(path, said)


def _about(path: Path) -> About:
    try:
        found: About = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunsDirectoryError(f"{path} can't be read ({error}). Remove it.") from error
    return found


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The project's git commit, with `+changes` when the tree differs from it."""
    try:
        git = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--match=", "--dirty=+changes"]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def write(runs_directory: Path, document: Run) -> None:
    """Write a run's manifest; a reader sees the old one or the new one, whole."""
    write_json(runs_directory / document["id"] / MANIFEST, _placed(document, partial(relative, runs_directory)))


def relative(runs_directory: Path, path: str) -> str:
    """A path below the runs' directory as what is written down has it; another stays as it is."""
    return str(Path(path).relative_to(runs_directory)) if Path(path).is_relative_to(runs_directory) else path


def whole(runs_directory: Path, path: str) -> str:
    """A path that was written down, where the runs lie now."""
    return str(runs_directory / path)


def _placed(document: Run, place: Callable[[str], str]) -> Run:
    """A document with other paths; the given one stays as it is."""
    placed: Run = {**document, "steps": [_step_placed(step, place) for step in document["steps"]]}
    if report := document.get("report"):
        placed["report"] = place(report)
    if model := document.get("model"):
        placed["model"] = place(model)
    return placed


def _step_placed(step: Step, place: Callable[[str], str]) -> Step:
    return {
        **step,
        "inputs": {name: [place(path) for path in paths] for name, paths in step.get("inputs", {}).items()},
        "outputs": {name: place(path) for name, path in step.get("outputs", {}).items()},
    }


@contextmanager
def held(runs_directory: Path, alone: bool = False) -> Iterator[None]:
    """Hold the lock of what runs share; wait for it.

    A run holds it, with others, while it notes that it is there or that it takes what another made; who removes
    holds it alone. So what is removed is nothing that a run was about to take.
    """
    import fcntl

    with _writable(runs_directory):
        runs_directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(runs_directory / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        with suppress(OSError):  # no flock here
            fcntl.flock(descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alive(runs_directory: Path, document: Run) -> Iterator[None]:
    """Hold the run's lock: the kernel lets go of it when this process ends, whatever ends it, and no child has it.

    A process's number would not tell: in a container every command is process 1. Where the file system knows no flock,
    the number has to do.
    """
    import fcntl

    descriptor = os.open(runs_directory / document["id"] / LOCK, os.O_RDWR | os.O_CREAT)  # closed by exec
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _lives(runs_directory: Path, document: Run) -> bool:
    """Whether the command that made a run is still at it."""
    import fcntl

    try:
        descriptor = os.open(runs_directory / document["id"] / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no flock here
        return _exists(document["process"])
    finally:
        os.close(descriptor)
    return False


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def every(runs_directory: Path) -> list[Run]:
    """All runs, newest first. One whose process is gone before it ended was interrupted, and so were its steps."""
    runs_directory = runs_directory.resolve()
    documents = []
    for path in runs_directory.glob(f"*/{MANIFEST}"):
        with suppress(FileNotFoundError):  # removed since it was listed
            documents.append(_placed(_as_it_is(runs_directory, path), partial(whole, runs_directory)))
    return sorted(documents, key=lambda document: document.get("started") or "", reverse=True)


def _as_it_is(runs_directory: Path, path: Path) -> Run:
    document = _read(path)
    if document["state"] == "running" and not _lives(runs_directory, document):
        document = _read(path)  # a run writes its last document before it lets go of its lock
        if document["state"] == "running":
            document["state"] = "interrupted"
            for step in document["steps"]:
                step["state"] = {"running": "interrupted", "pending": "skipped"}.get(step["state"], step["state"])
    return document


def _read(path: Path) -> Run:
    try:
        document: Run = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or not {"id", "state", "steps"} <= set(document):
            raise ValueError("it is no object with id, state and steps")
        rates = document.get("parameters", {}).get(RATES, [])  # what failed before it began has no parameters
        if not isinstance(rates, list):
            raise ValueError("an earlier version wrote it")
        if any(Path(path).is_absolute() for step in document["steps"] for path in step.get("outputs", {}).values()):
            raise ValueError("an earlier version wrote it")
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise RunsDirectoryError(f"{path} is no manifest of a run ({error}). Remove its directory.") from error
    document.pop("name", None)  # as it was when the run started
    document.pop("note", None)
    return {**document, **_about(path.with_name(ABOUT))}


def find(runs_directory: Path, run: str | None) -> Run:
    """One run by its id, the start of it, or its name; without one the newest.

    Raises:
        RunNotFoundError: There is none, or more than one.
    """
    if run == "":  # every id starts with it: a script's variable that was never set
        raise RunNotFoundError("An empty text names no run. Give an id, the start of one, or a name.")
    documents = every(runs_directory)
    if not documents:
        raise RunNotFoundError(f"There is no run in {runs_directory} yet. Start one with: switchpoint run")
    matches = documents[:1]
    if run is not None:
        matches = [each for each in documents if each["id"].startswith(run) or each.get("name") == run]
    if len(matches) != 1:
        names = ", ".join(document["id"] for document in (matches or documents)[:5])
        raise RunNotFoundError(f"{len(matches)} runs in {runs_directory} are called {run}. Give one of: {names}.")
    return matches[0]
