"""What of a lineage still holds: digests computed anew, and compared. TensorFlow is imported only here."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.digest.step import of_weights
from switchpoint import addresses, storage
from switchpoint.command.runs.artifacts import metadata
from switchpoint.data import sources
from switchpoint.data.manifest import verify_records
from switchpoint.errors import StorageError, SwitchpointError
from switchpoint.provenance.digests import STEPS, code_digest
from switchpoint.provenance.metadata import CONFIG, embedded, entry, sealed
from switchpoint.training import checkpoints
from switchpoint.training import saved_model as models

if TYPE_CHECKING:
    from switchpoint.command.documents import Check, Graph, Node
    from switchpoint.documents.lineage import Entry

    Test = Callable[[Node, "_Copies"], str | None]  # what no longer matches, if anything


def verify(graph: Graph) -> list[Check]:
    """Compute anew what can be: an entry a check with node, `what`, `ok` (None: can't be checked here) and `why`."""
    with tempfile.TemporaryDirectory() as directory:
        copies = _Copies(graph, Path(directory))
        checks = [_run(node, copies, *_TESTS[node["kind"]]) for node in graph["nodes"]]
    for step in STEPS:
        digests = {node["code_digest"] for node in graph["nodes"] if node["step"] == step} - {None}
        for digest in sorted(digests):
            same = digest in (code_digest(step, "cpu"), code_digest(step, "gpu"))
            why = "" if same else f"the code of {step} has changed since"
            checks.append({"node": None, "what": f"code of {step}", "ok": same, "why": why})
    return checks


def _run(node: Node, copies: _Copies, what: str, test: Test) -> Check:
    ok: bool | None = False
    try:
        why = test(node, copies) or ""
        ok = not why
    except (_UncheckableError, StorageError) as error:  # a bucket that can't be read says nothing of what is in it
        ok, why = None, str(error)
    except Exception as error:  # a damaged file makes Keras, h5py and zipfile raise whatever they like
        why = str(error) if isinstance(error, SwitchpointError) else f"{node['path']} can't be read: {error}"
    return {"node": node["id"], "what": what, "ok": ok, "why": copies.named(node, why)}


class _UncheckableError(Exception):
    """It isn't here."""


class _Copies:
    """Where the artifacts of a graph are to be read; those in a bucket are downloaded when they are asked for."""

    def __init__(self, graph: Graph, directory: Path) -> None:
        self.graph, self.directory = graph, directory

    def path(self, node: Node) -> Path:
        if not node["path"]:
            raise _UncheckableError("not found among the runs")
        path = Path(node["path"])
        if addresses.is_remote(node["path"]):
            path = self._downloaded(node)
            if not path.exists():
                if not storage.listing(node["path"]):
                    raise _UncheckableError(f"{node['path']} is gone")
                storage.download(node["path"], path)
        if not path.exists():
            raise _UncheckableError(f"{path} is gone")
        return path

    def _downloaded(self, node: Node) -> Path:
        return self.directory / (f"{node['id']}.keras" if node["kind"] == "model" else node["id"])

    def named(self, node: Node, text: str) -> str:
        """A text that names the artifact where it lies, not its copy here."""
        return text.replace(str(self._downloaded(node)), node["path"] or "")

    def made_of(self, node: Node) -> list[Node]:
        """The nodes that were made of one."""
        ids = {edge["to"] for edge in self.graph["edges"] if edge["from"] == node["id"]}
        return [found for found in self.graph["nodes"] if found["id"] in ids]


def _differs(found: str, expected: str | None, where: object) -> str | None:
    return None if found == expected else f"{where} has the digest {found[:16]}…, not {str(expected)[:16]}…"


def _model(node: Node, copies: _Copies) -> str | None:
    import keras

    path = copies.path(node)
    said = embedded(path)["model"]
    if said["digest"] != node["digest"]:
        return f"{path} carries the lineage of another model ({str(said['digest'])[:16]}…)"
    written = metadata(path.parent)
    if not sealed(path) or (written and not _describes(entry(written), said)):
        return f"{path} is not what was saved: its lineage (switchpoint.json) or its architecture was changed"
    return _differs(models.digest(keras.models.load_model(path, compile=False)), node["digest"], path)


def _describes(written: Entry, said: Entry) -> bool:
    """Whether what KFP wrote down beside a model file agrees with what the file says of itself.

    The report keeps a copy of the best model: what is written there is of the report, and shares the digest alone.
    """
    return written == said or (written["step"] == "report" and written["digest"] == said["digest"])


def _checkpoint(node: Node, copies: _Copies) -> str | None:
    path = copies.path(node)
    checkpoints.load(path, node["epoch"])  # raises when the weights of backbone or head are not what was saved
    text = (path / checkpoints.MANIFEST).read_bytes()
    if why := _differs(hashlib.sha256(text).hexdigest(), node["checkpoints_digest"], path / checkpoints.MANIFEST):
        return why
    backbone = path / "backbone.keras"
    for model in copies.made_of(node):
        try:
            file = copies.path(model)
            whole = sealed(file)
        except Exception:
            continue  # the model's own check says what is wrong with it
        if whole and _architecture(file, "backbone") != _architecture(backbone):
            return f"{backbone} has another architecture than the models that were trained from it"
    return None


def _architecture(file: Path, layer: str | None = None) -> Any:
    """A model's configuration in a `.keras` file, or that of a layer of it, without what fine-tuning changes."""
    with zipfile.ZipFile(file) as archive:
        config = json.loads(archive.read(CONFIG), object_hook=_lasting)["config"]
    return config if layer is None else next(each["config"] for each in config["layers"] if each["name"] == layer)


def _lasting(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in ("trainable", "shared_object_id")}


def _records(node: Node, copies: _Copies) -> str | None:
    path = copies.path(node)
    return _differs(verify_records(path)["digest"], node["digest"], path)


def _dataset(node: Node, _: _Copies) -> str | None:
    dataset = node["parameters"].get("dataset")
    if dataset is None:
        raise _UncheckableError("the model file carries no address of it, and no run here names one")
    if addresses.is_volume(dataset):
        raise _UncheckableError(f"{dataset} is on a volume of the cluster")
    if Path(dataset).is_absolute() and not Path(dataset).exists():
        raise _UncheckableError(f"{dataset} is gone")
    return _differs(sources.digest(dataset), node["digest"], dataset)


def _weights(node: Node, _: _Copies) -> str | None:
    weights, backbone = node["parameters"].get("weights"), node["parameters"].get("backbone")
    if weights is None or backbone is None:
        raise _UncheckableError("the model file carries no address of them, and no run here names one")
    if Path(weights).is_absolute() and not Path(weights).exists():
        raise _UncheckableError(f"{weights} is gone")
    return _differs(of_weights(backbone, weights), node["digest"], weights)


_TESTS: dict[str, tuple[str, Test]] = {
    "model": ("model", _model),
    "checkpoint": ("checkpoint", _checkpoint),
    "records": ("records", _records),
    "dataset": ("dataset", _dataset),
    "weights": ("pretrained weights", _weights),
}
