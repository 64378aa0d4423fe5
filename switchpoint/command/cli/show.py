"""The command that shows one run: of this machine, or of Kubeflow Pipelines."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from switchpoint.command.cli.flags import (
    INTERRUPTED,
    READ_FROM,
    WHICH_RUN,
    as_json,
    connection_flags,
    follow_flags,
    no_host,
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
@click.option("--follow", "-f", is_flag=True, help="Stay with the run until it ends: the same as --wait.")
@as_json
def show(
    run: str | None,
    pipeline_root: str | None,
    runs_dir: Path,
    wait: bool,
    follow: bool,
    timeout: float | None,
    as_json: bool,
    **connection: Any,
) -> None:
    """Show the steps of RUN (by default the newest) and what it came to.

    A run that is under way in another terminal is shown as it is there; -f stays with it until it ends. With --host,
    RUN is the id of a run on Kubeflow Pipelines, or its start. Ctrl-C ends the showing alone.
    """
    wait = wait or follow
    if connection["host"]:
        if not run:
            raise click.UsageError(WHICH_RUN)
        from switchpoint.command.cli import following
        from switchpoint.command.cluster.client import Cluster

        kubeflow = Cluster(**connection)
        following.show(kubeflow, kubeflow.find(run), wait, timeout, as_json, pipeline_root)
        return
    from switchpoint.command.runs import store

    document = store.find(runs_dir, run)
    if wait and document["state"] == "running":
        document = _followed(document, runs_dir, timeout, as_json)
    elif not as_json:
        _say_steps(document, runs_dir)
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        _conclude(document, runs_dir)
    if wait and document["state"] != "succeeded":
        sys.exit(1)


def _followed(document: Run, runs_directory: Path, timeout: float | None, as_json: bool) -> Run:
    """Show a run as it goes, as where it was started; gives its document when it has ended."""
    from rich.console import Console

    from switchpoint.command.cli import console
    from switchpoint.command.runs.following import follow

    output = Console(file=sys.stderr if as_json else sys.stdout)
    output.print(_title(document), markup=False, highlight=False, soft_wrap=True)
    shown = console.Show(output, document["parameters"])
    try:
        with shown.live():
            return follow(runs_directory, document["id"], shown, timeout)
    except KeyboardInterrupt:
        click.echo(f"Stopped showing. The run goes on; again: switchpoint show {document['id']} -f", err=True)
        sys.exit(INTERRUPTED)


def _title(document: Run) -> str:
    name = document.get("name")
    return f"Run {document['id']}" + f", {name}" * bool(name)


def _say(text: str) -> None:
    from rich.console import Console

    Console(file=sys.stdout).print(text, markup=False, highlight=False, soft_wrap=True)


def _say_steps(document: Run, runs_directory: Path) -> None:
    from switchpoint.command.cli import console
    from switchpoint.command.runs.following import said_last

    _say(_title(document))
    if note := document.get("note"):
        _say(note)
    for step in document["steps"]:
        if step["state"] != "skipped":
            last = said_last(runs_directory, document["id"], step) if step["state"] == "running" else ""
            text = last if isinstance(last, str) else last.text
            _say(f"{console.label(step, document['parameters'])} {console.words(step)}" + f": {text}" * bool(text))


def _conclude(document: Run, runs_directory: Path) -> None:
    from rich.console import Console

    from switchpoint.command.cli import console

    for line in console.failures(document, runs_directory):
        _say(line)
    if document["state"] == "succeeded":
        for line in console.about_photos(document):
            _say(line)
        console.conclude(Console(file=sys.stdout), document)
    else:
        words: dict[str, str] = {
            "running": "The run is running. Stay with it: add -f.",
            "interrupted": "The run was interrupted.",
        }
        _say(words.get(document["state"], f"The run {document['state']}."))


@click.command()
@click.argument("run", required=False)
@click.argument("step", required=False)
@click.option("--follow", "-f", "follows", is_flag=True, help="Stay with a run under way, and show lines as they come.")
@runs_dir
@no_host("The logs of a run on a cluster are in its UI: `switchpoint show RUN --host …` says where.")
def logs(run: str | None, step: str | None, follows: bool, runs_dir: Path) -> None:
    """Show what the steps of RUN (by default the newest) printed, or what STEP did.

    STEP is what its log is called, such as finetune-04-0.0003-seed-1, or the start of it: finetune. Of a step that came
    from the cache it is the log of the run that made it.
    """
    from switchpoint.command.runs import following, store
    from switchpoint.command.runs.steps import log_name

    document = store.find(runs_dir, run)
    before = None
    try:
        for each, line in following.lines(runs_dir, document["id"], step, follows):
            if (name := log_name(each)) != before:
                click.echo(f"==> {name} <==")
                before = name
            click.echo(line)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    if before is None:
        click.echo("Nothing was printed yet, or the log went with the run that made it.", err=True)
