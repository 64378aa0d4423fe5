"""Promote: the run's best model becomes a version in MLflow's registry, and its champion if it is not worse.

It is never cached: what it comes to depends on which version is the champion now.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from switchpoint.config import Config
from switchpoint.errors import PromotionError, TrackingError
from switchpoint.files import write_json
from switchpoint.progress import say
from switchpoint.registry import lock, promotion, versions
from switchpoint.tracking import PATIENTLY, QUICKLY, RUN, URI, check_tracked, shown, told
from switchpoint.training import resume, states

if TYPE_CHECKING:
    from pathlib import Path

    from switchpoint.documents.promotion import Promoted


@dataclass(frozen=True)
class PromoteConfig(Config):
    """What promotion is given.

    Attributes:
        name: Of the registered model.
        margin: Points that it may be worse than the champion, and than the best champion ever.
        weights_digest: Of the pretrained weights, for the version's tags.
    """

    name: str
    margin: float
    weights_digest: str


def promote(
    records: Path, source: Path, results: Path, page: Path, model: Path, outcome: Path, config: PromoteConfig
) -> Promoted:
    """Register the best model, and promote it if it is shown not to be worse.

    Args:
        records: What prepare wrote.
        source: What it wrote of the dataset.
        results: What the report wrote.
        page: The report.
        model: The best model's file.
        outcome: JSON to write: a `documents.Promoted`, where models can't be compared `refused`.
        config: As what, and within which margin.

    Raises:
        TrackingError: The step has no MLflow, or MLflow can't be reached or refused.
        StorageError: There is no place where promotions can wait for one another.
    """
    check_tracked()
    for name, value in (QUICKLY | PATIENTLY).items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import mlflow
    from mlflow.exceptions import MlflowException

    uri, run = os.environ[URI], os.environ[RUN]
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    try:
        own = client.get_run(run)
        of_run = os.environ.get(resume.RUN) or own.data.tags.get("mlflow.parentRunId", run)
        made = versions.Made(of_run, records, results, page, model, config.weights_digest)
        place = lock.place(client, own.info.experiment_id, uri, os.environ.get(states.RESUME, tempfile.gettempdir()))
        with lock.held(place) as sure:
            version = versions.register(client, own.info.experiment_id, lambda: run, made, config.name)
            say("promote", f"version {version.number} of {config.name}")
            photos = promotion.TestPhotos(records, source)
            try:
                found = promotion.promote(
                    client, uri, config.name, version.number, config.margin, lambda _: photos, sure=sure
                )
            except PromotionError as error:
                found = promotion.Promotion(version.number, "refused", {}, str(error))
    except MlflowException as error:
        again = "What was trained is kept: once it answers, run the same again."
        raise TrackingError(f"MLflow at {shown(uri)}: {told(error)}. {again}") from error
    say("promote", found.sentence)
    document = found.document(config.name)
    write_json(outcome, document)
    return document
