"""The commands that keep house with the runs of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from switchpoint.command.cli.flags import about_flags, as_json, no_host, runs_dir
from switchpoint.command.cli.quantities import size

if TYPE_CHECKING:
    from switchpoint.command.documents import About
    from switchpoint.command.runs.housekeeping import Removed

_HERE_ALONE = no_host(
    "A run on a cluster is removed there: its page has Archive, then Delete; its artifacts lie in the bucket."
)


@click.command()
@click.argument("run", nargs=-1, required=True)
@runs_dir
@_HERE_ALONE
@as_json
def rm(run: tuple[str, ...], runs_dir: Path, as_json: bool) -> None:
    """Remove runs, and of what they made what no other run has. One under way is not removed.

    With the last run that did not succeed go the states of killed trainings: no run would go on from one any more.
    """
    from switchpoint.command.runs import housekeeping

    _tell(housekeeping.remove(runs_dir, run), as_json, "Removed")


@click.command()
@click.option("--keep", type=click.IntRange(0), metavar="N", help="Remove the runs, too, but for the newest N.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@runs_dir
@_HERE_ALONE
@as_json
def gc(keep: int | None, dry_run: bool, runs_dir: Path, as_json: bool) -> None:
    """Remove what no run has: artifacts, the cache's entries of them, and states if no run would go on from one."""
    from switchpoint.command.runs import housekeeping

    _tell(housekeeping.collect(runs_dir, keep, dry_run), as_json, "Would remove" if dry_run else "Removed")


@click.command()
@click.argument("run")
@about_flags
@runs_dir
@no_host("A run on a cluster has the name that it was submitted with.")
def note(run: str, name: str | None, note: str | None, runs_dir: Path) -> None:
    """Say something of RUN, or something else: its name, a note. An empty text takes back what was said."""
    from switchpoint.command.runs import store

    if name is None and note is None:
        raise click.UsageError("Give --name, --note, or both.")
    about: About = {}
    if name is not None:
        about["name"] = name
    if note is not None:
        about["note"] = note
    store.describe(runs_dir, store.find(runs_dir, run)["id"], about)


def _tell(removed: Removed, as_json: bool, done: str) -> None:
    if as_json:
        click.echo(json.dumps(removed._asdict(), indent=1))
        return
    for name in (*(f"run {run}" for run in removed.runs), *removed.artifacts):
        click.echo(f"{done} {name}")
    if removed.states:
        click.echo(f"{done} the states of killed trainings: no run is left that would go on from one.")
    runs, steps = (f"{count} {name}{'s' * (count != 1)}" for count, name in (
        (len(removed.runs), "run"), (len(removed.artifacts), "step")
    ))  # fmt: skip
    click.echo(f"{done} {runs} and what {steps} made: {size(removed.bytes)}.")
