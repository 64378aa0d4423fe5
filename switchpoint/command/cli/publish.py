"""The commands that put something where others see it: photos in a bucket, a model in a bucket or a folder."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from switchpoint.command.cli.flags import READ_FROM, Address, connection_flags, pipeline_root_flag, runs_dir
from switchpoint.command.formats import FORMATS


@click.command()
@click.argument("source", metavar="FOLDER|FILE", type=click.Path(exists=True, path_type=Path))
@click.argument("uri", metavar="gs://BUCKET/NAME|s3://…", type=Address(local=False))
def upload(source: Path, uri: str) -> None:
    """Copy a folder or a file to a bucket, where a cluster sees it. What is there already is not sent again."""
    from switchpoint.command.publish import upload as uploading

    with _progress() as progress:
        sent = uploading.upload(source, uri, progress)
    click.echo(f"{sent.sent} sent, {sent.skipped} already there: {uri}")
    if sent.others:
        click.echo(
            f"Below {uri} are {sent.others} other objects that are not in {source}. A dataset there has them too.",
            err=True,
        )


@click.command()
@click.argument("run", required=True)
@click.argument("uri", metavar="gs://BUCKET/models/NAME|s3://…|FOLDER", type=Address())
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), default="keras", show_default=True,
    help="h5 is Keras' older format; savedmodel is for TensorFlow Serving, onnx for ONNX Runtime, tflite for phones. "
    "What is written is loaded again and compared with Keras.",
)  # fmt: skip
@pipeline_root_flag(READ_FROM)
@runs_dir
@connection_flags
def export(run: str, uri: str, kind: str, pipeline_root: str | None, runs_dir: Path, **connection: Any) -> None:
    """Publish the best model of a run: the model, its classes, a card that says how to use it.

    RUN is a run of this machine or, with --host, the id of one on Kubeflow Pipelines. In a bucket `latest.json` moves
    last; a FOLDER of this machine must be new.
    """
    from rich.console import Console

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported, which else says what it can
    from switchpoint.command.publish import export as exporting
    from switchpoint.command.runs import store

    with Console(stderr=True).status("Publishing"), tempfile.TemporaryDirectory() as directory:
        if connection["host"]:
            from switchpoint.command.cluster import fetched
            from switchpoint.command.cluster.client import Cluster

            kubeflow, runs_dir = Cluster(**connection), Path(directory)
            document = fetched.best(kubeflow, kubeflow.find(run), pipeline_root, runs_dir)
        else:
            document = store.find(runs_dir, run)
        click.echo(exporting.export(document, uri, kind, checked=bool(connection["host"])))


@contextlib.contextmanager
def _progress() -> Iterator[Any]:
    """A bar of bytes, as storage wants to be told of them."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None)
        yield lambda done, total, name: bars.update(task, completed=done, total=total, description=name[-40:])
