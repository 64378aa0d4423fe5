"""What new photos are compared with: transfer learning's network and its reference, of a run here or on a cluster."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from switchpoint.command import made, parameters, predict
from switchpoint.command.errors import ClusterError, NoModelError, RunNotFoundError
from switchpoint.command.paths import expanded
from switchpoint.command.runs import store
from switchpoint.drift.seen import Made
from switchpoint.errors import LostError, ParameterError
from switchpoint.provenance.metadata import MODEL, embedded
from switchpoint.training import reference as references

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from switchpoint.command.cluster.artifacts import Artifacts
    from switchpoint.command.cluster.client import Cluster
    from switchpoint.command.cluster.client import Run as ClusterRun
    from switchpoint.command.documents import Run


def here(given: str, runs_directory: Path) -> Made:
    """Of a run of this machine, or of the one that made a model's file; of several seeds that of the best model.

    Raises:
        NoModelError: No run of this machine made it, or it has no reference.
    """
    document = _run(given, runs_directory)
    try:
        return Made(made.transfer_model(document), references.read(made.made_by(document, "transfer", "reference")))
    except (OSError, ValueError, KeyError) as error:
        raise NoModelError(
            f"The reference of run {document['id']} can't be read ({error}): `switchpoint rerun {document['id']}` "
            "makes one."
        ) from error


def _run(given: str, runs_directory: Path) -> Run:
    try:
        return store.find(runs_directory, given)
    except RunNotFoundError:
        if not expanded(given).exists():
            raise
    file = predict.model_of(given, runs_directory)
    if file.suffix != ".keras":
        raise NoModelError(f"{file} does not say which run made it. Give the run, or the .keras file.")
    digest = embedded(file)["model"]["digest"]
    for document in store.every(runs_directory):
        if any(result["model_digest"] == digest for result in document["results"]):
            return document
    raise NoModelError(
        f"No run in {runs_directory} made {file}, and photos are compared with what that run held out. Give --runs-dir."
    )


def there(cluster: Cluster, run: ClusterRun, pipeline_root: str | None, directory: Path) -> Made:
    """Of a run on a cluster, whatever became of it after transfer learning; of several seeds that of any.

    Where its transfer learning came from the cache, an earlier run that made the same has it.

    Args:
        cluster: Where it ran.
        run: Which one.
        pipeline_root: Where artifacts go when the run names no root itself.
        directory: Where to put them.

    Raises:
        ClusterError: They can't be had from here.
        StorageError: The store says no.
    """
    from switchpoint.command.cluster.artifacts import Artifacts, root_of

    artifacts, lost = Artifacts(cluster), None
    for candidate in (run, *_alike(cluster, run, pipeline_root, artifacts)):
        for found in artifacts.every(candidate, root_of(candidate, pipeline_root), "transfer", "reference"):
            try:
                return _fetched(artifacts, found, directory)
            except LostError as error:
                lost = lost or error  # named before it was written, or removed
    raise ClusterError(
        (f"{lost} " if lost else "")
        + f"Run {run.run_id} has no reference that is to be found from here, nor has an earlier one that trained the "
        "same: its transfer learning has not ended, or its outputs are in a store that has to be named: "
        "--pipeline-root gs://… or s3://…"
    )


def _fetched(artifacts: Artifacts, uri: str, directory: Path) -> Made:
    """A reference, and the model beside it."""
    model, reference = directory / MODEL, directory / "reference"
    artifacts.download(uri, reference)
    artifacts.download(f"{uri.rpartition('/')[0]}/model/{MODEL}", model)
    try:
        return Made(model, references.read(reference))
    except (OSError, ValueError, KeyError) as error:
        raise ClusterError(f"{uri} can't be read as a reference ({error}). Run the pipeline again.") from error


def _alike(cluster: Cluster, run: ClusterRun, pipeline_root: str | None, artifacts: Artifacts) -> Iterator[ClusterRun]:
    """The earlier runs whose photos and transfer learning are the run's, but for its seed; newest first."""
    from switchpoint.command.cluster.artifacts import root_of

    own = _made_of(cluster, run)
    photos = artifacts.digests(run, root_of(run, pipeline_root))
    for earlier in cluster.runs() if own and photos else ():
        if (
            earlier.run_id != run.run_id
            and earlier.created_at <= run.created_at
            and _made_of(cluster, earlier) == own
            and artifacts.digests(earlier, root_of(earlier, pipeline_root)) == photos
        ):
            yield earlier


def _made_of(cluster: Cluster, run: ClusterRun) -> Any:
    """What a run's transfer learning is made of, but for the digests; None where that can't be known."""
    from components.prepare.step import PrepareConfig
    from components.transfer.step import TransferConfig
    from switchpoint.command.cluster import rerun

    try:
        values = parameters.checked(rerun.look_at(cluster, run).parameters) | dict.fromkeys(parameters.DIGESTS, "")
    except (ClusterError, ParameterError):
        return None
    images = rerun.images(cluster.spec(run))
    transfer = dataclasses.replace(parameters.config(TransferConfig, "transfer", values), seed=0)
    prepare = parameters.config(PrepareConfig, "prepare", values)
    return images.get("prepare"), images.get("transfer"), prepare, transfer
