"""Artifacts of the runs of this machine: who made them, what KFP wrote down of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from switchpoint.command.runs.steps import log_name

if TYPE_CHECKING:
    from switchpoint.command.documents import Step

ARTIFACTS = "artifacts"
RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


def directory(runs_directory: Path, run: str, step: Step) -> Path:
    """Where a step of a run puts what it makes: runs/artifacts/RUN/finetune-04-0.0003-seed-1."""
    return runs_directory / ARTIFACTS / run / log_name(step)


def maker(uri: str) -> str | None:
    """The run that made an artifact: it lies under its name."""
    return next((part for part in Path(uri).parts if RUN.fullmatch(part)), None)


def metadata(path: Path) -> dict[str, Any] | None:
    """What KFP wrote down of an output on this machine; None when it is gone or not ours."""
    try:
        output = json.loads((path.parent / "executor_output.json").read_text(encoding="utf-8"))
        found = dict(output["artifacts"][path.name]["artifacts"][0]["metadata"])
    except (OSError, ValueError, LookupError):
        return None
    return found if {"step", "code_digest", "parameters", "inputs"} <= set(found) else None
