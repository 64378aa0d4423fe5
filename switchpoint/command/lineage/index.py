"""Artifacts of the runs of this machine, found by digest: what KFP wrote down beside each (`executor_output.json`)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from switchpoint.documents import Run

_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


def located(uri: str, runs_directory: Path) -> Path:
    """Where an artifact of a run lies now: runs may have been moved since they wrote down their paths."""
    path = Path(uri)
    start = next((number for number, part in enumerate(path.parts) if _RUN.fullmatch(part)), None)
    moved = runs_directory.resolve().joinpath(*path.parts[start:]) if start is not None else path
    return moved if moved.exists() or not path.exists() else path


def maker(uri: str) -> str | None:
    """The run in whose directory an artifact lies: for a cached one, the run that made it."""
    return next((part for part in Path(uri).parts if _RUN.fullmatch(part)), None)


def metadata(path: Path) -> dict[str, Any] | None:
    """What KFP wrote down of an output on this machine; None when it is gone or not ours."""
    try:
        output = json.loads((path.parent / "executor_output.json").read_text(encoding="utf-8"))
        found = dict(output["artifacts"][path.name]["artifacts"][0]["metadata"])
    except (OSError, ValueError, LookupError):
        return None
    return found if {"step", "code_digest", "parameters", "inputs"} <= set(found) else None


class Index(Protocol):
    """Finds artifacts by digest: on this machine, or in the bucket of a cluster."""

    def get(
        self, step: str, output: str, digest: str | None
    ) -> tuple[Path | str | None, dict[str, Any] | None, str | None]:
        """Where an artifact lies, its metadata, the run that made it; each None where it is not known."""


class Artifacts:
    """Artifacts of the runs of this machine, by step, output and digest."""

    def __init__(self, runs_directory: Path, documents: list[Run]) -> None:
        self.found: dict[tuple[str, str, str], tuple[Path, dict[str, Any], str | None]] = {}
        for document in documents:
            for step in document["steps"]:
                for output, uri in step["outputs"].items():
                    path = located(uri, runs_directory)
                    if described := metadata(path):
                        key = (described["step"], output, described.get("digest", ""))
                        self.found.setdefault(key, (path, described, maker(uri)))

    def get(self, step: str, output: str, digest: str | None) -> tuple[Path | None, dict[str, Any] | None, str | None]:
        """Path, metadata and run of an artifact; three None when no run has it."""
        return self.found.get((step, output, digest or ""), (None, None, None))
