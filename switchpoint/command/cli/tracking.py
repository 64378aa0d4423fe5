"""The commands around MLflow: its page, and the registry of models."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from switchpoint.command import parameters as pipeline_parameters
from switchpoint.command.cli.flags import Address, Line, as_json, mlflow_flag, runs_dir
from switchpoint.tracking import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow import MlflowClient

WHERE = mlflow_flag("MLflow's address; without one the file below the runs' directory.")


@click.command()
@WHERE
@runs_dir
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Where it listens.")
def ui(mlflow: str | None, runs_dir: Path, port: int) -> None:
    """Show the runs that were tracked on this machine on MLflow's page. Ctrl-C ends it."""
    from switchpoint.command import mlflow as tracker
    from switchpoint.command.runs.serving import serve
    from switchpoint.errors import TrackingError
    from switchpoint.tracking import SQLITE

    uri = tracker.address(mlflow or "", runs_dir)
    if not uri.startswith(SQLITE):
        click.echo(f"MLflow's page: {shown(uri)}")
        return
    if not Path(uri.removeprefix(SQLITE)).exists():
        raise TrackingError(f"There is no {uri.removeprefix(SQLITE)}. Track a run: switchpoint run --mlflow")
    tracker.client(uri)  # else the error would be a server's
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # processes for what is used of language models
    command = [sys.executable, "-m", "mlflow", "server", f"--backend-store-uri={uri}", "--workers=1", f"--port={port}"]
    serve("MLflow", "MLflow", command, port, click.echo)


LOCK = click.option(
    "--lock", type=Address(), metavar="DIRECTORY|gs://…|s3://…",
    help="Where promotions wait for one another; by default beside MLflow's file, or in the bucket of its server.",
)  # fmt: skip


NOT_PROMOTED = 3  # the exit code


@click.command()
@click.argument("run")
@click.argument("name", type=Line())
@LOCK
@WHERE
@runs_dir
@as_json
def register(run: str, name: str, lock: str | None, mlflow: str | None, runs_dir: Path, as_json: bool) -> None:
    """Register the best model of RUN in MLflow as a version of NAME. It is in use when `promote` says so."""
    from switchpoint.command import registry
    from switchpoint.command.runs import store

    document = store.find(runs_dir, run)
    if why := pipeline_parameters.unusable(name):
        raise click.BadParameter(why, param_hint="NAME")
    with _mlflow(mlflow, runs_dir) as (client, uri), _locked(lock, client, uri, runs_dir):
        version = registry.register(client, uri, document, name)
    if as_json:
        click.echo(json.dumps({"name": name, "version": version.number, "model": version.model, "tags": version.tags}))
    else:
        click.echo(f"Run {document['id']} is version {version.number} of {name}. Next: switchpoint promote {name}")


@click.command()
@click.argument("name", type=Line())
@click.option("--version", "number", type=click.IntRange(1), help="By default the newest.")
@click.option(
    "--margin", type=click.FloatRange(0, 100), default=1.0, show_default=True,
    help="Points that it may be worse than the champion, and than the best champion ever.",
)  # fmt: skip
@LOCK
@WHERE
@runs_dir
@as_json
def promote(
    name: str, number: int | None, margin: float, lock: str | None, mlflow: str | None, runs_dir: Path, as_json: bool
) -> None:
    """Make a version of NAME the champion if photos show that it is not worse; exit code 3 if they don't.

    It is compared with the champion, and with the best champion ever, on test photos on which neither was trained.
    """
    from switchpoint.command import registry
    from switchpoint.registry import promotion

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each model is traced anew, and that is told
    with _mlflow(mlflow, runs_dir) as (client, uri), _locked(lock, client, uri, runs_dir) as sure:
        found = promotion.promote(
            client,
            uri,
            name,
            number,
            margin,
            lambda version: registry.test_photos(runs_dir, version),
            again=number is not None,
            sure=sure,
        )
    if as_json:
        click.echo(json.dumps(found.document(name)))
    else:
        click.echo(found.sentence)
    sys.exit(0 if found.outcome in ("promoted", "champion") else NOT_PROMOTED)


@click.command()
@click.argument("name", type=Line())
@LOCK
@WHERE
@runs_dir
def rollback(name: str, lock: str | None, mlflow: str | None, runs_dir: Path) -> None:
    """Make the champion before this one the champion of NAME again."""
    from switchpoint.registry import promotion

    with _mlflow(mlflow, runs_dir) as (client, uri), _locked(lock, client, uri, runs_dir):
        click.echo(promotion.rollback(client, name))


def _locked(
    place: str | None, client: MlflowClient, uri: str, runs_directory: Path
) -> AbstractContextManager[Callable[[], None]]:
    from switchpoint.command import mlflow as tracker
    from switchpoint.command.runs import store
    from switchpoint.registry import lock
    from switchpoint.training.states import RESUME

    # As a run's last step has it, where MLflow offers none.
    otherwise = os.environ.get(RESUME) or str(runs_directory.resolve() / store.STATES)
    return lock.held(place or lock.place(client, tracker.experiment(client, uri), uri, otherwise))


@contextmanager
def _mlflow(given: str | None, runs_directory: Path) -> Iterator[tuple[MlflowClient, str]]:
    """A client and the address; what MLflow refuses is an error in a line."""
    from switchpoint.command import mlflow as tracker
    from switchpoint.errors import TrackingError
    from switchpoint.tracking import told

    uri = tracker.address(given or "", runs_directory)
    client = tracker.client(uri)
    from mlflow import set_tracking_uri
    from mlflow.exceptions import MlflowException

    set_tracking_uri(uri)  # of a model's address the registry asks this one
    try:
        yield client, uri
    except MlflowException as error:
        raise TrackingError(f"MLflow at {shown(uri)}: {told(error)}") from error
