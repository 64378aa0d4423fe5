"""The command that shows one run: of this machine, or of Kubeflow Pipelines."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from switchpoint.command.cli.flags import (
    READ_FROM,
    WHICH_RUN,
    as_json,
    connection_flags,
    follow_flags,
    pipeline_root_flag,
    runs_dir,
)

if TYPE_CHECKING:
    from switchpoint.command.documents import Run


@click.command()
@click.argument("run", required=False)
@pipeline_root_flag(READ_FROM)
@runs_dir
@connection_flags
@follow_flags
@as_json
def show(
    run: str | None,
    pipeline_root: str | None,
    runs_dir: Path,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    **connection: Any,
) -> None:
    """Show the steps of RUN (by default the newest) and what it came to.

    With --host, RUN is the id of a run on Kubeflow Pipelines, or its start; --wait stays with it until it ends, also
    with a run whose waiting was ended by Ctrl-C.
    """
    if connection["host"]:
        if not run:
            raise click.UsageError(WHICH_RUN)
        from switchpoint.command.cli import following
        from switchpoint.command.cluster.client import Cluster

        kubeflow = Cluster(**connection)
        following.show(kubeflow, kubeflow.find(run), wait, timeout, as_json, pipeline_root)
        return
    if wait:
        raise click.UsageError("--wait goes with --host: a run of this machine is shown where it was started.")
    from switchpoint.command.runs import store

    document = store.find(runs_dir, run)
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        _local(document, runs_dir)


def _local(document: Run, runs_directory: Path) -> None:
    from rich.console import Console

    from switchpoint.command.cli import console

    output = Console(file=sys.stdout)

    def say(text: str) -> None:
        output.print(text, markup=False, highlight=False, soft_wrap=True)

    say(f"Run {document['id']}")
    for step in document["steps"]:
        if step["state"] != "skipped":
            say(f"{console.label(step, document['parameters'])} {console.words(step)}")
    for line in console.failures(document, runs_directory):
        say(line)
    if document["state"] != "succeeded":
        say({"running": "The run is running.", "interrupted": "The run was interrupted."}.get(
            document["state"], f"The run {document['state']}."
        ))  # fmt: skip
        return
    for line in console.about_photos(document):
        say(line)
    console.conclude(output, document)
