"""MLflow as the command reaches it: where it is, and what it is called there. It is imported when it is used."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from switchpoint.command.errors import MissingPackageError
from switchpoint.errors import ParameterError, TrackingError
from switchpoint.tracking import OF_RUN, OF_STEP, QUICKLY, SQLITE, shown, told

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "switchpoint"
FILE = "mlflow.db"  # below the runs' directory; what runs leave there lies beside it, in mlflow/
_ADDRESS = re.compile(r"(https?://[^/]+|sqlite:///.+)")


def address(uri: str, runs_directory: Path) -> str:
    """MLflow's address; empty: that of the file below the runs' directory.

    Raises:
        ParameterError: It is none.
    """
    if uri and not _ADDRESS.match(uri):
        raise ParameterError(f"{uri!r} is no address of MLflow. Give http://…, https://… or sqlite:///PATH, or none.")
    return uri or f"{SQLITE}{runs_directory.resolve() / FILE}"


def client(uri: str) -> MlflowClient:
    """A client that does not wait long; nothing is asked yet.

    Raises:
        MissingPackageError: MLflow is not installed, or not what a file needs.
    """
    missing = [name for name in ("mlflow", "sqlalchemy") if importlib.util.find_spec(name) is None]
    if missing[:1] == ["mlflow"] or (missing and uri.startswith(SQLITE)):
        raise MissingPackageError(f"{missing[0]} is not installed: pip install 'switchpoint[mlflow]'.")
    for name, value in QUICKLY.items():
        os.environ.setdefault(name, value)
    if uri.startswith(SQLITE):
        Path(uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def experiment(client: MlflowClient, uri: str) -> str:
    """The id of the experiment that all runs are in; it is made if it is not there.

    Raises:
        TrackingError: MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    # MLflow's own default for a file is a folder of the working directory.
    beside = Path(uri.removeprefix(SQLITE)).with_suffix("").absolute().as_uri() if uri.startswith(SQLITE) else None

    def ask() -> Any:
        return client.get_experiment_by_name(EXPERIMENT)

    try:
        found = ask()
        if found is None:
            try:
                return str(client.create_experiment(EXPERIMENT, beside))
            except MlflowException:  # another run made it meanwhile
                if (found := ask()) is None:
                    raise
    except Exception as error:  # of a database's driver, too
        raise TrackingError(
            f"MLflow at {shown(uri)} can't be used: {told(error)}. Nothing was started. Start the server, or give "
            "another address."
        ) from error
    return str(found.experiment_id)


def run_of(client: MlflowClient, experiment: str, run: str, step: str) -> str | None:
    """MLflow's id of the newest run that is a step of a run of this machine; None: it was not tracked."""
    for parent in client.search_runs([experiment], f"tags.`{OF_RUN}` = '{run}'"):
        nested = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}' and tags.`{OF_STEP}` = '{step}'"
        if found := client.search_runs([experiment], nested, max_results=1):
            return str(found[0].info.run_id)
    return None
