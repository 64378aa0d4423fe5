"""What of a lineage still holds: digests computed anew, and compared. TensorFlow is imported only here."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from switchpoint import backbones, checkpoints, models, records, sources, storage
from switchpoint.errors import SwitchpointError
from switchpoint.identity import STEPS, code_digest
from switchpoint.lineage import embedded
from switchpoint.lineage_graph import Graph, Node

Check = dict[str, Any]


def verify(graph: Graph) -> list[Check]:
    """Compute anew what can be: an entry a check with node, `what`, `ok` (None: can't be checked here) and `why`."""
    checks: list[Check] = []
    for node in graph["nodes"]:
        what, test = _TESTS[node["kind"]]
        checks.append(_run(node, what, test))
    for step in STEPS:
        digests = {node["code_digest"] for node in graph["nodes"] if node["step"] == step} - {None}
        for digest in sorted(digests):
            same = digest in (code_digest(step, "cpu"), code_digest(step, "gpu"))
            why = "" if same else f"the code of {step} has changed since"
            checks.append({"node": None, "what": f"code of {step}", "ok": same, "why": why})
    return checks


def _run(node: Node, what: str, test: Callable[[Node], str | None]) -> Check:
    try:
        why = test(node)
    except _UncheckableError as error:
        return {"node": node["id"], "what": what, "ok": None, "why": str(error)}
    except Exception as error:  # a damaged file makes Keras, h5py and zipfile raise whatever they like
        why = str(error) if isinstance(error, SwitchpointError) else f"can't be read: {error}"
    return {"node": node["id"], "what": what, "ok": not why, "why": why or ""}


class _UncheckableError(Exception):
    """It isn't here."""


def _path(node: Node) -> Path:
    if not node["path"]:
        raise _UncheckableError("not found among the runs here")
    path = Path(node["path"])
    if not path.exists():
        raise _UncheckableError(f"{path} is gone")
    return path


def _differs(found: str, node: Node, where: object, key: str = "digest") -> str | None:
    return None if found == node[key] else f"{where} has the digest {found[:16]}…, not {str(node[key])[:16]}…"


def _model(node: Node) -> str | None:
    import keras

    path = _path(node)
    if (said := embedded(path)["model"]["digest"]) != node["digest"]:
        return f"{path} carries the lineage of another model ({said[:16]}…)"
    return _differs(models.digest(keras.models.load_model(path, compile=False)), node, path)


def _checkpoint(node: Node) -> str | None:
    path = _path(node)
    checkpoints.load(path, node["epoch"])  # raises when the backbone or the head is not what was saved
    text = (path / checkpoints.MANIFEST).read_bytes()
    return _differs(hashlib.sha256(text).hexdigest(), node, path, "checkpoints_digest")


def _records(node: Node) -> str | None:
    path = _path(node)
    return _differs(records.verify(path)["digest"], node, path)


def _dataset(node: Node) -> str | None:
    dataset = node["parameters"].get("dataset")
    if dataset is None:
        raise _UncheckableError("the model file carries no place of it, and no run here names one")
    if Path(dataset).is_absolute() and not Path(dataset).exists():
        raise _UncheckableError(f"{dataset} is gone")
    return _differs(sources.digest(dataset), node, dataset)


def _weights(node: Node) -> str | None:
    weights, backbone = node["parameters"].get("weights"), node["parameters"].get("backbone")
    if weights is None or backbone is None:
        raise _UncheckableError("the model file carries no place of them, and no run here names one")
    if Path(weights).is_absolute() and not Path(weights).exists():
        raise _UncheckableError(f"{weights} is gone")
    found = storage.digest(weights) if storage.is_remote(weights) else backbones.weights_digest(backbone, weights)
    return _differs(found, node, weights)


_TESTS = {
    "model": ("model's weights, configuration and classes", _model),
    "checkpoint": ("checkpoint's backbone and head", _checkpoint),
    "records": ("records", _records),
    "dataset": ("dataset", _dataset),
    "weights": ("pretrained weights", _weights),
}
