"""The commands around MLflow: its page, and the registry of models."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from switchpoint.command.cli.flags import mlflow_flag, runs_dir

WHERE = mlflow_flag("MLflow's address; without one the file below the runs' directory.")


@click.command()
@WHERE
@runs_dir
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Where it listens.")
def ui(mlflow: str | None, runs_dir: Path, port: int) -> None:
    """Show the runs that were tracked on this machine on MLflow's page. Ctrl-C ends it."""
    from switchpoint.command import mlflow as tracker
    from switchpoint.command.errors import TrackingError
    from switchpoint.command.runs.serving import serve

    uri = tracker.address(mlflow or "", runs_dir)
    if not uri.startswith(tracker.SQLITE):
        click.echo(f"MLflow's page: {tracker.shown(uri)}")
        return
    if not Path(uri.removeprefix(tracker.SQLITE)).exists():
        raise TrackingError(f"There is no {uri.removeprefix(tracker.SQLITE)}. Track a run: switchpoint run --mlflow")
    tracker.client(uri)  # else the error would be a server's
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # processes for what is used of language models
    command = [sys.executable, "-m", "mlflow", "server", f"--backend-store-uri={uri}", "--workers=1", f"--port={port}"]
    serve("MLflow", "MLflow", command, port, click.echo)
