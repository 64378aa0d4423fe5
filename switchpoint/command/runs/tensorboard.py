"""TensorBoard on a run: its logs under names that say what they are, `transfer` and `finetune-from-04`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from switchpoint.command.runs import serving
from switchpoint.command.runs import store as runs
from switchpoint.command.runs.artifacts import directory
from switchpoint.command.runs.steps import RATES, several

if TYPE_CHECKING:
    from switchpoint.command.documents import Run


def serve(renew: Callable[[], Path], run: str, port: int, say: Callable[[str], None]) -> None:
    """Serve a run's logs on this machine alone until TensorBoard ends or Ctrl-C.

    Args:
        renew: Makes or renews the directory of the logs and gives it; asked again and again.
        run: What the run is called.
        port: Where to listen.
        say: Told where to look.
    """
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={renew()}", f"--port={port}", "--host=127.0.0.1"]
    command += [f"--reload_interval={serving.REFRESH}", f"--window_title=Switchpoint {run}"]
    serving.serve("TensorBoard", f"TensorBoard of {run}", command, port, say, renew)


def link(runs_directory: Path, run: str) -> Path:
    """Make or renew RUN/tensorboard: a link to each training's logs, wherever they lie; gives that directory."""
    runs_directory = runs_directory.resolve()
    boards = runs_directory / run / "tensorboard"
    boards.mkdir(exist_ok=True)
    for name, logs in directories(runs_directory, runs.find(runs_directory, run)).items():
        target = os.path.relpath(logs, boards)
        path = boards / name
        if path.is_symlink() and str(path.readlink()) == target:
            continue
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    return boards


def directories(runs_directory: Path, document: Run) -> dict[str, Path]:
    """The logs of each training of a run that are there already, by a name that says what it is.

    A step writes its outputs into the document when it ends; until then its logs are where it puts them.
    """
    found: dict[str, Path] = {}
    parameters = document["parameters"]
    for step in document["steps"]:
        if step["name"] not in ("transfer", "finetune"):
            continue
        made = step["outputs"].get("logs") or directory(runs_directory, document["id"], step) / "logs"
        name = "transfer" if step["name"] == "transfer" else f"finetune-from-{step['switch_epoch']:02d}"
        if step["learning_rate"] is not None and several(parameters, RATES):
            name += f"-at-{step['learning_rate']}"
        name += f"-seed-{step['seed']}" * several(parameters, "seeds")
        if Path(made).is_dir():
            found[name] = Path(made)
    return found
