"""What MLflow is told of a report: the figures, the page, and the chosen model in the form that MLflow loads.

The model's file stays as it is, byte for byte, with its lineage inside: `mlflow.keras.log_model` would load it, write
another, and need TensorFlow and pandas for it (docs/adr/0021).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import yaml

from switchpoint.files import copy, write_json, write_text
from switchpoint.provenance.metadata import embedded
from switchpoint.tracking import measure

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from switchpoint.documents.lineage import Lineage
    from switchpoint.documents.results import Result, Results

NAME = "best"  # what MLflow calls the model in its run
DIGEST = "model_digest"  # the tag by which a model is found again
SIDE = 64  # pixels of the input example
FIGURES: tuple[Literal["validation_accuracy", "test_accuracy", "test_top_5", "test_loss"], ...] = (
    "validation_accuracy",
    "test_accuracy",
    "test_top_5",
    "test_loss",
)
USE = """\
import mlflow
from switchpoint.photos import read  # or what gives an upright photo as uint8 (height, width, 3)

model = mlflow.keras.load_model("models:/{model}")
probabilities = model.predict(read("photo.jpg")[None])[0]
"""


def tell(client: MlflowClient, run: str, results: Path, page: Path, model: Path) -> str:
    """Log a report to a run of MLflow's.

    A model that the run's experiment has already, by its digest, is not sent again: the run refers to it.

    Args:
        client: MLflow's.
        run: Its id.
        results: What the report step wrote: a `documents.Results`.
        page: Its page.
        model: The chosen model's file.

    Returns:
        MLflow's id of the model.
    """
    from mlflow.entities import LoggedModelOutput

    document: Results = json.loads(results.read_text(encoding="utf-8"))
    row = best(document)
    experiment = client.get_run(run).info.experiment_id
    logged = known(client, experiment, row["model_digest"])
    logged = logged or log_model(client, run, experiment, document, model)
    client.log_outputs(run, [LoggedModelOutput(logged, 0)])
    measure(client, run, {name: row[name] for name in FIGURES}, logged)
    client.set_tag(run, "mlflow.note.content", document["conclusion"])
    with tempfile.TemporaryDirectory() as directory:
        copy(page, Path(directory, "report.html"))  # by its suffix MLflow shows it
        client.log_artifact(run, str(Path(directory, "report.html")))
    return logged


def best(document: Results) -> Result:
    """The training whose model the report chose."""
    whole = (cast("Result", row) for row in document["results"] if row.get("rung") is None)
    return next(row for row in whole if row["model_digest"] == document["best"]["model_digest"])


def known(client: MlflowClient, experiment: str, digest: str) -> str | None:
    """MLflow's id of a model that was logged whole, by the model's digest."""
    found = client.search_logged_models([experiment], f"tags.{DIGEST} = '{digest}'")
    return next((each.model_id for each in found if each.status == "READY"), None)


def log_model(client: MlflowClient, run: str, experiment: str, document: Results, model: Path) -> str:
    """Log the chosen model; gives MLflow's id of it.

    Args:
        client: MLflow's.
        run: That made it.
        experiment: Of the run.
        document: What the report came to.
        model: Its file.
    """
    lineage = embedded(model)
    tags = {
        DIGEST: document["best"]["model_digest"],
        "records_digest": str(lineage["records"]["digest"]),
        "dataset_digest": lineage["records"]["inputs"]["dataset"],
    }
    params = {name: str(value) for name, value in lineage["model"]["parameters"].items()}
    logged = client.create_logged_model(experiment, NAME, run, tags, params, "keras").model_id
    try:
        with tempfile.TemporaryDirectory() as directory:
            write(Path(directory), model, lineage, document, run, logged)
            client.log_model_artifacts(logged, directory)
    except BaseException:
        client.finalize_logged_model(logged, "FAILED")
        raise
    client.finalize_logged_model(logged, "READY")
    return str(logged)


def write(directory: Path, model: Path, lineage: Lineage, document: Results, run: str, logged: str) -> None:
    """Write a model as MLflow reads it: https://mlflow.org/docs/latest/ml/model/ (flavors keras and python_function).

    Args:
        directory: Empty.
        model: The file.
        lineage: What it carries.
        document: What the report came to.
        run: MLflow's id of the run that made it.
        logged: MLflow's id of the model.
    """
    from mlflow.models.model import Model
    from mlflow.types.schema import Schema, TensorSpec

    classes = lineage["records"]["classes"]
    copy(model, directory / "data" / "model.keras")
    write_json(directory / "classes.json", classes)
    write_text(directory / "README.md", card(lineage, document, logged))
    write_text(directory / "requirements.txt", _requirements())
    python = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
    write_text(directory / "python_env.yaml", yaml.safe_dump(python))
    photo = np.indices((SIDE, SIDE, 3)).sum(0).astype("uint8")[None]
    write_json(directory / "input_example.json", photo.tolist())
    write_json(directory / "serving_input_example.json", {"inputs": photo.tolist()})

    described = Model(artifact_path=NAME, run_id=run, model_id=logged)
    described.add_flavor(
        "keras",
        data="data",
        keras_version=importlib.metadata.version("keras"),
        keras_backend="tensorflow",
        save_exported_model=False,
    )
    described.add_flavor(
        "python_function",
        loader_module="mlflow.keras",
        python_version=platform.python_version(),
        env={"virtualenv": "python_env.yaml"},
    )
    content: dict[str, Any] = described.to_dict()
    content["signature"] = {
        "inputs": Schema([TensorSpec(np.dtype("uint8"), (-1, -1, -1, 3))]).to_json(),
        "outputs": Schema([TensorSpec(np.dtype("float32"), (-1, len(classes)))]).to_json(),
        "params": None,
    }
    content["saved_input_example_info"] = {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "ndarray",
    }
    write_text(directory / "MLmodel", yaml.safe_dump(content))


def card(lineage: Lineage, document: Results, logged: str) -> str:
    """The model card in short; `switchpoint export` writes it at length.

    Source:
        Mitchell et al., Model Cards for Model Reporting, https://arxiv.org/abs/1810.03993
    """
    own, records = lineage["model"], lineage["records"]
    parameters = "".join(f"| {name} | {value} |\n" for name, value in own["parameters"].items())
    return f"""# An image classifier for {len(records["classes"])} classes

{document["conclusion"]}

Chosen on the validation photos, reported on the test photos. Input: RGB photos of any size, uint8. Output: a \
probability a class, in the order of `classes.json`.

```python
{USE.format(model=logged)}```

- model: digest `{own["digest"]}`, made by {own["step"]}, code `{own["code_digest"]}`
- records: digest `{records["digest"]}`, photos {json.dumps(records["photos"])}
- dataset: digest `{records["inputs"]["dataset"]}`

| parameter | value |
|---|---|
{parameters}"""


def _requirements() -> str:
    """What loads the model, as it is here; TensorFlow by the name that it has on every machine."""
    lines = []
    for name in ("keras", "numpy", "tensorflow", "tensorflow-cpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            lines.append(f"{name.removesuffix('-cpu')}=={importlib.metadata.version(name)}\n")
    return "".join(lines)
