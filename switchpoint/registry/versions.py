"""Versions of a model in MLflow's registry: digests, lineage, figures, and the photos that each was trained on."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from switchpoint.data.manifest import read_contents
from switchpoint.errors import PromotionError
from switchpoint.files import write_json
from switchpoint.provenance.digests import file_digest
from switchpoint.provenance.metadata import embedded
from switchpoint.registry import logged
from switchpoint.tracking import OF_RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlflow import MlflowClient

    from switchpoint.documents.results import Result, Results

MODELS = "models:/"
MODEL_SHA256, SEEN_SHA256 = "model_sha256", "seen_sha256"  # tags
SEEN = "seen.json"  # beside the model: SHA-256 of each photo that it was trained or chosen on


class Made(NamedTuple):
    """What a version is made of.

    Attributes:
        run: The run's id.
        records: What prepare wrote.
        results: What the report wrote: a `documents.Results`.
        page: The report.
        model: The chosen model's file.
        weights_digest: Of the pretrained weights.
    """

    run: str
    records: Path
    results: Path
    page: Path
    model: Path
    weights_digest: str


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


def register(client: MlflowClient, experiment: str, run: Callable[[], str], made: Made, name: str) -> Version:
    """Register the best model of a run; one that is registered already keeps its number.

    Args:
        client: MLflow's.
        experiment: Its id, in which the run's model is looked for.
        run: Gives MLflow's id of the run that the model is told of, where MLflow does not have it yet.
        made: What the run made.
        name: Of the registered model.
    """
    results: Results = json.loads(made.results.read_text(encoding="utf-8"))
    contents = read_contents(made.records)  # before MLflow is told: records of an earlier version have none
    model = logged.known(client, experiment, results["best"]["model_digest"])
    model = model or logged.tell(client, run(), made.results, made.page, made.model)
    if found := next((each for each in every(client, name) if each.model == model), None):
        return found
    with tempfile.TemporaryDirectory() as directory:
        seen = Path(directory, SEEN)
        write_json(seen, sorted({*contents["train"], *contents["validation"]}))
        client.log_model_artifacts(model, directory)
        digests = {SEEN_SHA256: file_digest(seen), MODEL_SHA256: file_digest(made.model)}
    _ensure(client, name)
    version = client.create_model_version(
        name,
        source=f"{MODELS}{model}",
        run_id=client.get_logged_model(model).source_run_id,
        model_id=model,
        tags=_tags(made, logged.best(results), contents["test"]) | digests,
        description=results["conclusion"],
    )
    return Version(int(version.version), model, dict(version.tags))


def _tags(made: Made, best: Result, test: list[str]) -> dict[str, str]:
    """What a version says of itself; a digest of the test photos is of their contents, in any order."""
    lineage = embedded(made.model)
    records = lineage["records"]
    figures = {name: f"{best[name]:.4f}" for name in logged.FIGURES}
    return figures | {
        OF_RUN: made.run,
        logged.DIGEST: best["model_digest"],
        "records_digest": str(records["digest"]),
        "dataset_digest": records["inputs"]["dataset"],
        "weights_digest": made.weights_digest,
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
    found = client.search_model_versions(f"name = '{name}'")
    ours = [each for each in found if OF_RUN in each.tags]
    return sorted(Version(int(each.version), each.source.removeprefix(MODELS), dict(each.tags)) for each in ours)


def fetch(uri: str, version: Version, directory: Path) -> tuple[Path, set[str]]:
    """A version's model file, and the photos that it was trained or chosen on.

    Args:
        uri: MLflow's address.
        version: Which.
        directory: Where a copy may lie.

    Raises:
        PromotionError: They are not what was registered.
    """
    from mlflow.artifacts import download_artifacts

    directory.mkdir()
    place = Path(download_artifacts(f"{MODELS}{version.model}", dst_path=str(directory), tracking_uri=uri))
    files = {MODEL_SHA256: place / "data" / "model.keras", SEEN_SHA256: place / SEEN}
    for tag, file in files.items():
        if not file.exists() or file_digest(file) != version.tags.get(tag):
            raise PromotionError(
                f"Version {version.number} is not what was registered: {file.name} is gone, or another. Register its "
                "run again under another name."
            )
    return files[MODEL_SHA256], set(json.loads(files[SEEN_SHA256].read_text(encoding="utf-8")))
