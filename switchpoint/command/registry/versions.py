"""Versions of a model in MLflow's registry: digests, lineage, figures, and the photos that each was trained on."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from components.report import tracked
from switchpoint.command import mlflow
from switchpoint.command.errors import ArtifactGoneError, NoModelError, PromotionError
from switchpoint.command.publish.export import changed
from switchpoint.command.runs.results import chosen
from switchpoint.data.manifest import read_contents
from switchpoint.files import write_json
from switchpoint.provenance.metadata import MODEL, embedded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient

    from switchpoint.command.documents import Run

MODELS = "models:/"
SEEN = "seen.json"  # beside the model: SHA-256 of each photo that it was trained or chosen on


class Version(NamedTuple):
    """A version that was registered.

    Attributes:
        number: MLflow counts from 1.
        model: MLflow's id of the model.
        tags: What `register` said of it.
    """

    number: int
    model: str
    tags: Mapping[str, str]


def register(client: MlflowClient, uri: str, document: Run, name: str) -> Version:
    """Register the best model of a run; one that is registered already keeps its number.

    Args:
        client: MLflow's.
        uri: Its address.
        document: Of a run of this machine.
        name: Of the registered model.

    Raises:
        NoModelError: The run did not succeed.
        ArtifactGoneError: What it made is gone, or was changed.
        TrackingError: MLflow can't be reached.
    """
    best = chosen(document)
    if document["state"] != "succeeded" or best is None:
        raise NoModelError(f"Run {document['id']} {document['state']}: only a run that succeeded has a best model.")
    if why := changed(document):
        raise ArtifactGoneError(
            f"The model of run {document['id']} is not registered: of the report that it belongs to, {why}. Run the "
            "pipeline again to have it back."
        )
    outputs = {name: Path(path) for step in document["steps"] for name, path in step["outputs"].items()}
    report = next(step["outputs"] for step in document["steps"] if step["name"] == "report")
    model = Path(report["model"], MODEL)
    contents = read_contents(outputs["records"])  # before MLflow is told: records of an earlier version have none
    experiment = mlflow.experiment(client, uri)
    run = mlflow.run_of(client, experiment, document["id"], "report")
    logged = tracked.known(client, experiment, best["model_digest"]) if run else None
    if run is None:
        run = client.create_run(experiment, run_name=document["id"], tags={mlflow.RUN: document["id"]}).info.run_id
        client.set_terminated(run)
    logged = logged or tracked.tell(client, run, Path(report["results"]), Path(report["page"]), model)
    if found := next((each for each in every(client, name) if each.model == logged), None):
        return found
    with tempfile.TemporaryDirectory() as directory:
        write_json(Path(directory, SEEN), sorted({*contents["train"], *contents["validation"]}))
        client.log_model_artifacts(logged, directory)
    _ensure(client, name)
    made = client.create_model_version(
        name,
        source=f"{MODELS}{logged}",
        run_id=run,
        model_id=logged,
        tags=_tags(document, model, best, contents["test"]),
        description=document["conclusion"],
    )
    return Version(int(made.version), logged, dict(made.tags))


def _tags(document: Run, model: Path, best: Mapping[str, Any], test: list[str]) -> dict[str, str]:
    """What a version says of itself; a digest of the test photos is of their contents, in any order."""
    lineage = embedded(model)
    records, parameters = lineage["records"], document["parameters"]
    figures = {name: f"{best[name]:.4f}" for name in tracked.FIGURES}
    return figures | {
        mlflow.RUN: document["id"],
        tracked.DIGEST: best["model_digest"],
        "records_digest": str(records["digest"]),
        "dataset_digest": records["inputs"]["dataset"],
        "weights_digest": parameters["weights_digest"],
        "code_digest": lineage["model"]["code_digest"],
        "test_digest": hashlib.sha256("\n".join(sorted(test)).encode()).hexdigest(),
        "test_photos": str(len(test)),
        "start": str(best["switch_epoch"] or "transfer learning alone"),
    }


def _ensure(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def every(client: MlflowClient, name: str) -> list[Version]:
    """The versions of a model, oldest first."""
    quoted = name.replace("'", "''")
    found = client.search_model_versions(f"name = '{quoted}'")
    ours = [each for each in found if mlflow.RUN in each.tags]
    return sorted(Version(int(each.version), each.source.removeprefix(MODELS), dict(each.tags)) for each in ours)


def fetch(uri: str, version: Version) -> tuple[Path, set[str]]:
    """A version's model file, and the photos that it was trained or chosen on.

    Raises:
        PromotionError: They are not what was registered.
    """
    from mlflow.artifacts import download_artifacts

    place = Path(download_artifacts(f"{MODELS}{version.model}", tracking_uri=uri))
    model = place / "data" / "model.keras"
    found = str(embedded(model)["model"]["digest"])
    if found != version.tags[tracked.DIGEST]:
        raise PromotionError(
            f"Version {version.number} has another model than the one that was registered: its digest is {found[:16]}, "
            f"not {version.tags[tracked.DIGEST][:16]}. Register its run again under another name."
        )
    return model, set(json.loads((place / SEEN).read_text(encoding="utf-8")))
