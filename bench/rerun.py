"""A run with one more switch epoch: what is added to the seconds of the steps that it runs."""

import io
import json
import os
from collections.abc import Iterable
from contextlib import redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.pairs import Measured
from bench.prepared import seconds
from switchpoint.provenance.digests import ROOT

SMALL = {"transfer_epochs": 4, "finetune_epochs": 1, "image_size": 32}  # epochs to add: one a repeat


def overhead(place: Path, repeat: int) -> Measured:
    """Seconds of `switchpoint run` in which none of its steps runs.

    The command is called in this process, whose first run has imported all that it needs. A step runs from its start to
    its end as run.json has them: its process and its own imports are the step's. What is left: looking up what is
    cached, the plan, Kubeflow's orchestrator, collecting the results.
    """
    os.environ["PYTHONPATH"] = str(ROOT)
    directory = place / "runs"
    if repeat == 1:
        run(place / "photos", directory, [1])
    wall = seconds(lambda: run(place / "photos", directory, list(range(1, repeat + 2))))
    newest = max(directory.glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    return Measured(wall - running(json.loads(newest.read_text())["steps"]))


def run(photos: Path, directory: Path, switch_epochs: list[int]) -> None:
    """The command's `run` of the photos at a small size: what it adds does not depend on that."""
    from switchpoint.command.cli import main as cli

    flags = SMALL | {"dataset": photos, "switch_epochs": ",".join(map(str, switch_epochs))}
    words = [word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    with redirect_stdout(io.StringIO()):
        cli.main(["run", "--recipe", "demo", "--runs-dir", str(directory), *words], standalone_mode=False)


def running(steps: Iterable[dict[str, Any]]) -> float:
    """Seconds in which at least one of the steps ran: they may overlap; what was cached did not run."""
    spans = sorted(
        (datetime.fromisoformat(step["started"]), datetime.fromisoformat(step["ended"]))
        for step in steps
        if step["state"] == "ran"
    )
    total, until = 0.0, datetime.min
    for start, end in spans:
        until = until.replace(tzinfo=start.tzinfo)
        total += max(0.0, (end - max(start, until)).total_seconds())
        until = max(until, end)
    return total
