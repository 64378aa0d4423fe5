"""Runs by the cluster's clock: new photos, every week."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from switchpoint.command.cli.cluster import CONNECTION, ready, submission_flags
from switchpoint.command.cli.flags import Line, as_json, connection_flags

if TYPE_CHECKING:
    from switchpoint.command.documents import Schedule


@click.command()
@click.option(
    "--cron", required=True, metavar="'0 6 * * 1'", help="When, in UTC: minute, hour, day, month, day of the week."
)
@click.option("--name", type=Line(), help="What the schedule is called; by default what a run would be.")
@submission_flags
@as_json
def schedule(cron: str, name: str | None, as_json: bool, **flags: Any) -> None:
    """Let Kubeflow Pipelines run the pipeline again and again, with what the flags say, or FILE.yaml.

    Each run looks at the photos anew: where none has changed, all comes from the cache. `schedules` lists, pauses and
    deletes.
    """
    from switchpoint.command.cluster import limits, schedules

    when = schedules.cron(cron)
    limits.check("--name", name or "", schedules.NAME)
    connection = {each: flags.pop(each) for each in CONNECTION}
    sent = ready(**flags, recurring=True)
    from switchpoint.command.cluster.client import Cluster

    kubeflow = Cluster(**connection)
    made = schedules.document(
        kubeflow, schedules.create(kubeflow, sent.values, sent.package, when, name=name, **sent.beside)
    )
    if as_json:
        click.echo(json.dumps(made, indent=1))
        return
    click.echo(f"Scheduled {made['name']} ({made['id']}), cron {made['cron']} in UTC: {made['url']}")


@click.command("schedules")
@click.option(
    "--pause", metavar="SCHEDULE", help="Start no more runs of it, which is its name, its id or the id's start."
)
@click.option("--resume", metavar="SCHEDULE", help="Start runs of it again, none for the times that went by.")
@click.option("--delete", metavar="SCHEDULE", help="Remove it, by its name or its whole id; its runs stay.")
@connection_flags
@as_json
def list_schedules(pause: str | None, resume: str | None, delete: str | None, as_json: bool, **connection: Any) -> None:
    """List the schedules on Kubeflow Pipelines, after what the flags change of them."""
    from switchpoint.command.cluster import schedules
    from switchpoint.command.cluster.client import Cluster

    kubeflow = Cluster(**connection)
    for which, do, done in (
        (pause, schedules.pause, "Paused"),
        (resume, schedules.resume, "Resumed"),
        (delete, schedules.delete, "Deleted"),
    ):
        if which is not None:
            click.echo(f"{done} {do(kubeflow, which)}.", err=True)
    found = schedules.every(kubeflow)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for each in found:
        click.echo(_line(each))
    if not found:
        click.echo("No schedule.", err=True)


def _line(schedule: Schedule) -> str:
    from switchpoint.command.cluster.client import SEARCHED

    last = schedule["last"]
    ran = (
        f"last run {last['id']} {last['state']}, {last['started'][:16]}"
        if last
        else f"no run among the newest {SEARCHED:,}"
    )
    return "  ".join((schedule["id"], schedule["name"], schedule["state"], schedule["cron"], ran))
