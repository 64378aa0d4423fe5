"""Artifacts of the runs of this machine: where they lie now, who made them, what KFP wrote down of them."""

import json
import re
from pathlib import Path
from typing import Any

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
