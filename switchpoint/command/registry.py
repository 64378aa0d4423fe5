"""Runs of this machine in MLflow's registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from switchpoint.command import mlflow
from switchpoint.command.errors import ArtifactGoneError, NoModelError
from switchpoint.command.publish.export import changed
from switchpoint.command.runs import store
from switchpoint.command.runs.results import chosen
from switchpoint.provenance.metadata import MODEL
from switchpoint.registry import promotion, versions
from switchpoint.tracking import OF_RUN

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from switchpoint.command.documents import Run


def register(client: MlflowClient, uri: str, document: Run, name: str) -> versions.Version:
    """Register the best model of a run.

    Args:
        client: MLflow's.
        uri: Its address.
        document: The run's.
        name: Of the registered model.

    Raises:
        NoModelError: The run did not succeed.
        ArtifactGoneError: What it made is gone, or was changed.
        TrackingError: MLflow can't be reached.
    """
    if document["state"] != "succeeded" or chosen(document) is None:
        raise NoModelError(f"Run {document['id']} {document['state']}: only a run that succeeded has a best model.")
    if why := changed(document):
        raise ArtifactGoneError(
            f"The model of run {document['id']} is not registered: of the report that it belongs to, {why}. Run the "
            "pipeline again to have it back."
        )
    experiment = mlflow.experiment(client, uri)

    def tracked() -> str:
        if run := mlflow.run_of(client, experiment, document["id"], "report"):
            return run
        made = client.create_run(experiment, run_name=document["id"], tags={OF_RUN: document["id"]}).info
        client.set_terminated(made.run_id)
        return str(made.run_id)

    report = _outputs(document, "report")
    made = versions.Made(
        document["id"],
        _outputs(document, "prepare")["records"],
        report["results"],
        report["page"],
        report["model"] / MODEL,
        document["parameters"]["weights_digest"],
    )
    return versions.register(client, experiment, tracked, made, name)


def test_photos(runs_directory: Path, version: versions.Version) -> promotion.TestPhotos:
    """Those of the run that a version is of."""
    prepared = _outputs(store.find(runs_directory, version.tags[OF_RUN]), "prepare")
    return promotion.TestPhotos(prepared["records"], prepared["source"])


def _outputs(document: Run, name: str) -> dict[str, Path]:
    found = next(step["outputs"] for step in document["steps"] if step["name"] == name)
    return {output: Path(path) for output, path in found.items()}
