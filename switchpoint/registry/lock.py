"""One promotion at a time, wherever it is started: a file where its directory is shared, else an object in a bucket."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from switchpoint import addresses, storage
from switchpoint.errors import StorageError
from switchpoint.tracking import SQLITE
from switchpoint.training import states

if TYPE_CHECKING:
    from mlflow import MlflowClient

NAME = "promotion"
POLL = 2.0  # seconds


def place(client: MlflowClient, experiment: str, uri: str, otherwise: str) -> str:
    """Where whoever uses this MLflow can lock: beside a file, or in the bucket that a server keeps models in.

    Args:
        client: MLflow's.
        experiment: The id of one whose models are meant.
        uri: MLflow's address.
        otherwise: Where a server that keeps them elsewhere leaves it to.
    """
    if uri.startswith(SQLITE):
        return str(Path(uri.removeprefix(SQLITE)).absolute().parent)
    kept = str(client.get_experiment(experiment).artifact_location)
    return kept if addresses.is_remote(kept) else otherwise


@contextmanager
def held(place: str) -> Iterator[Callable[[], None]]:
    """Wait for the lock, and hold it; gives what raises StorageError once it was lost.

    Args:
        place: A directory, or the address of a prefix in a bucket that refuses one of two writes on one condition.

    Raises:
        StorageError: It can't be written, or the bucket would let both have the lock.
    """
    if not addresses.is_remote(place):
        with _file(Path(place)):
            yield lambda: None
        return
    uri = f"{place.rstrip('/')}/.{NAME}"
    if not storage.keeps_conditions(f"{uri}/condition"):
        raise StorageError(f"{place} lets two writers both have a lock. Name another place with --lock.")
    lock = states.Bucket(uri, NAME)
    while not lock.lock():
        time.sleep(POLL)

    def sure() -> None:
        if lock.lost:
            raise StorageError(f"{uri} could not be held: another may promote, too. Nothing was moved; try again.")

    try:
        yield sure
    finally:
        lock.unlock()


@contextmanager
def _file(directory: Path) -> Iterator[None]:
    import fcntl

    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / f".{NAME}.lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise StorageError(
            f"{directory} can't be written ({error.strerror}). Name another place with --lock."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
