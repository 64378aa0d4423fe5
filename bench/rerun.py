"""A run with one more switch epoch: what is added to the seconds of the steps that it runs."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stdout
from datetime import datetime
from typing import TYPE_CHECKING

from bench.pairs import Measured
from bench.prepared import seconds
from switchpoint.provenance.digests import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from switchpoint.command.documents import Step

SMALL = {"transfer_epochs": 4, "finetune_epochs": 1, "image_size": 32}  # epochs to add: one a repeat


def overhead(directory: Path, repeat: int) -> Measured:
    """Seconds of `switchpoint run` in which none of its steps runs.

    The command is called in this process, whose first run has imported all that it needs. A step runs from its start to
    its end as run.json has them: its process is the step's, and so is TensorFlow's import, for which the first step
    waits (docs/adr/0010). What is left: looking up what is cached, the plan, Kubeflow's orchestrator, collecting the
    results.
    """
    os.environ["PYTHONPATH"] = str(ROOT)
    runs = directory / "runs"
    if repeat == 1:
        run(directory / "photos", runs, [1])
    wall = seconds(lambda: run(directory / "photos", runs, list(range(1, repeat + 2))))
    newest = max(runs.glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    return Measured(wall - running(json.loads(newest.read_text())["steps"]))


def run(photos: Path, runs: Path, switch_epochs: list[int]) -> None:
    """The command's `run` of the photos at a small size: what it adds does not depend on that."""
    from switchpoint.command.cli import main as cli

    flags = SMALL | {"dataset": photos, "switch_epochs": ",".join(map(str, switch_epochs))}
    words = [word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    with redirect_stdout(io.StringIO()):
        cli.main(["run", "--recipe", "demo", "--runs-dir", str(runs), *words], standalone_mode=False)


def running(steps: Iterable[Step]) -> float:
    """Seconds in which at least one of the steps ran: they may overlap; what was cached did not run."""
    spans = sorted(
        (datetime.fromisoformat(step["started"]), datetime.fromisoformat(ended))
        for step in steps
        if step["state"] == "ran" and (ended := step["ended"])
    )
    total, until = 0.0, datetime.min
    for start, end in spans:
        until = until.replace(tzinfo=start.tzinfo)
        total += max(0.0, (end - max(start, until)).total_seconds())
        until = max(until, end)
    return total
