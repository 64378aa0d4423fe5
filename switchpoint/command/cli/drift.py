"""The command that asks whether new photos look like those that a model was trained for."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from switchpoint.command.cli.flags import (
    READ_FROM,
    Address,
    LocalPath,
    as_json,
    connection_flags,
    pipeline_root_flag,
    runs_dir,
)

if TYPE_CHECKING:
    from switchpoint.documents.drift import Drift

SHOWN = 3  # exit code where drift is shown


@click.command()
@click.argument("model", metavar="RUN|MODEL")
@click.argument("folder", metavar="FOLDER|gs://…|s3://…", type=Address())
@click.option(
    "--photos",
    "most",
    type=click.IntRange(20, 10_000),
    default=2000,
    show_default=True,
    help="Look at so many.",
)
@click.option(
    "--html",
    type=LocalPath(dir_okay=False),
    default="drift.html",
    show_default=True,
    help="The page, with the most unusual photos.",
)
@runs_dir
@connection_flags
@pipeline_root_flag(READ_FROM)
@as_json
def drift(
    model: str,
    folder: str,
    most: int,
    html: Path,
    runs_dir: Path,
    pipeline_root: str | None,
    as_json: bool,
    **connection: Any,
) -> None:
    """Compare new photos with those that a run held out from training: are they of another kind?

    With --host, RUN is the id of a run on Kubeflow Pipelines, or its start.

    Exit code 3 when drift is shown: when they look otherwise than chance allows in 99 of 100 cases.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported, which else says what it can
    from switchpoint.command import drift as drifting
    from switchpoint.drift.comparison import compare

    with tempfile.TemporaryDirectory() as directory:
        if connection["host"]:
            from switchpoint.command.cluster.client import Cluster

            cluster = Cluster(**connection)
            made = drifting.there(cluster, cluster.find(model), pipeline_root, Path(directory))
        else:
            made = drifting.here(model, runs_dir)
        found = compare(made, folder, html, most)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _show(found, html)
    if found["drift"]:
        sys.exit(SHOWN)


def _show(found: Drift, html: Path) -> None:
    from switchpoint.drift import words

    click.echo(words.sentence(found))
    for line in words.evidence(found):
        click.echo(f"  {line}")
    if found["unreadable"]:
        click.echo(f"{len(found['unreadable'])} photos can't be read; the page names them.")
    click.echo(f"Page: {html}")
