"""The command that sets runs beside one another."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from switchpoint.command.cli.flags import LocalPath, as_json, no_host, runs_dir

if TYPE_CHECKING:
    from rich.console import Console

    from switchpoint.command.compare.words import Rows
    from switchpoint.command.documents import Compared


@click.command()
@click.argument("run", nargs=-1, required=True)
@click.option("--html", type=LocalPath(dir_okay=False), metavar="FILE", help="Write a page, too.")
@runs_dir
@no_host("Runs on a cluster are compared in its UI: Runs, then Compare runs.")
@as_json
def compare(run: tuple[str, ...], html: Path | None, runs_dir: Path, as_json: bool) -> None:
    """Compare runs with the first of them: parameters that differ, results, curves.

    A difference is claimed, with its interval, where the test photos are the same.
    """
    if len(run) < 2:
        raise click.UsageError("Give two runs or more; `switchpoint runs` lists them.")
    from switchpoint.command.compare import page
    from switchpoint.command.compare.study import compare as compared_with
    from switchpoint.command.compare.study import open_run
    from switchpoint.command.runs import store
    from switchpoint.files import write_text

    documents = {document["id"]: document for document in (store.find(runs_dir, each) for each in run)}
    if len(documents) < len(run):
        raise click.UsageError("The same run is given twice.")
    compared = compared_with([open_run(document) for document in documents.values()])
    if html:
        write_text(html, page.html(compared))
    if as_json:
        click.echo(json.dumps(compared, indent=1))
        return
    _show(compared)
    if html:
        click.echo(f"Page: {html}")


def _show(compared: Compared) -> None:
    from rich.console import Console

    from switchpoint.command.cli import console
    from switchpoint.command.compare import words

    output = Console(file=sys.stdout)
    names = words.names(compared)
    output.print(words.sentence(compared), markup=False, highlight=False, soft_wrap=not output.is_terminal)
    _print(output, ["test accuracy, * recommended", *names], words.results(compared))
    if compared["differences"]:
        _print(output, ["start", "run", f"points over {names[0]}", "95 % interval", ""], words.differences(compared))
    for name, before, after in words.curves(compared):
        curve = console.sparkline([*before, *after])
        output.print(f"{name}  {curve}", markup=False, highlight=False, soft_wrap=True)
    if compared["parameters"]:
        _print(output, ["what differs", *names], words.parameters(compared))


def _print(output: Console, head: list[str], rows: Rows) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for title in head:
        table.add_column(Text(title), overflow="fold")  # a run's name is data, no markup
    for row in rows:
        table.add_row(*map(Text, row))
    output.print(table)
