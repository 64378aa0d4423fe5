"""What a run on a cluster made, brought here in the shape of a run of this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from switchpoint.command.cluster import rerun, results
from switchpoint.command.cluster.artifacts import Artifacts
from switchpoint.command.cluster.client import Cluster, Run, state
from switchpoint.command.errors import ClusterError, NoModelError
from switchpoint.data.manifest import MANIFEST
from switchpoint.errors import SwitchpointError
from switchpoint.provenance.metadata import MODEL, embedded

if TYPE_CHECKING:
    from pathlib import Path

    from switchpoint.command import documents
    from switchpoint.documents.lineage import Lineage


def best(cluster: Cluster, run: Run, pipeline_root: str | None, directory: Path) -> documents.Run:
    """A run's document with what an export reads: the best model, its classes, the results.

    Args:
        cluster: Where it ran.
        run: One that succeeded.
        pipeline_root: Where artifacts go when the run names no root itself.
        directory: Where to put them.

    Raises:
        NoModelError: The run did not succeed.
        ClusterError: Its artifacts can't be read from here, or are not what its report says.
    """
    if run.state != "SUCCEEDED":
        raise NoModelError(f"Run {run.run_id} is {state(run)}: only a run that succeeded has a best model.")
    found = results.read(cluster, run, pipeline_root)
    model = directory / MODEL
    Artifacts(cluster).download(found["model"], model)
    lineage = _checked(model, found["model"], found["best"]["model_digest"])
    earlier = rerun.look_at(cluster, run)
    kept = {"records": directory / "records", "results": directory / "results"}
    kept["records"].mkdir()
    # A model file names its classes in order, so that no records have to be fetched for them.
    (kept["records"] / MANIFEST).write_text(json.dumps({"classes": lineage["records"]["classes"]}), encoding="utf-8")
    kept["results"].write_text(json.dumps({"best": found["best"]}), encoding="utf-8")
    outputs = {"prepare": {"records": str(kept["records"])}, "report": {"results": str(kept["results"])}}
    document = cluster.document(run, with_steps=False)
    document["steps"] = [
        {"name": step, "seed": None, "switch_epoch": None, "learning_rate": None, "state": "ran",
         "seconds": None, "image": image, "outputs": outputs.get(step, {})}
        for step, image in rerun.images(cluster.spec(run)).items()
    ]  # fmt: skip
    # Those that the run was given may be empty: what it found is in the model.
    digests = {name: value for name, value in _digests(lineage).items() if value}
    document["parameters"], document["commit"] = earlier.parameters | digests, earlier.commit
    document["results"], document["best"] = found["results"], found["best"]
    document["conclusion"], document["model"] = found["conclusion"], str(model)
    return document


def _checked(model: Path, uri: str, digest: str) -> Lineage:
    """The lineage of the model that was fetched, if it is the one that the report chose."""
    try:
        lineage = embedded(model)
    except SwitchpointError as error:
        raise ClusterError(str(error).replace(str(model), uri)) from error
    if lineage["model"]["digest"] != digest:
        raise ClusterError(
            f"{uri} is not the model that the report chose: its digest is {str(lineage['model']['digest'])[:16]}, not "
            f"{digest[:16]}. Put back the object as it was, or run the pipeline again."
        )
    return lineage


def _digests(lineage: Lineage) -> dict[str, str]:
    """Of the dataset and the weights that a model was made from."""
    return {
        "dataset_digest": lineage["records"]["inputs"].get("dataset", ""),
        "weights_digest": lineage.get("checkpoints", lineage["model"])["inputs"].get("weights", ""),
    }
