"""Lineage as a graph: from a model back to its checkpoint, records, dataset and pretrained weights.

It is read from what travels with the artifacts: beside each on this machine, or in the model file itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from switchpoint.command.errors import ArtifactGoneError, NoModelError
from switchpoint.command.lineage.index import Artifacts
from switchpoint.command.runs import store
from switchpoint.command.runs.artifacts import metadata
from switchpoint.provenance.metadata import MODEL, embedded, entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from switchpoint.command.documents import Edge, Graph, Node, Run, Step
    from switchpoint.command.lineage.index import Index
    from switchpoint.documents.lineage import CheckpointEntry, Entry, RecordsEntry


def of_run(document: Run) -> list[Graph]:
    """A graph for each model of a run, the best one first.

    Raises:
        NoModelError: The run has no model yet.
        ArtifactGoneError: Its artifacts are gone.
    """
    artifacts = Artifacts([document])
    best = _best(document)
    graphs = []
    for step in document["steps"]:
        # What a failed run only planned has outputs in the documents of earlier versions.
        made = step["state"] in ("ran", "cached") and "model" in step["outputs"]
        if step["name"] in ("transfer", "finetune") and made:
            own, records, checkpoints = _origin(step, artifacts)
            graph = build(own, records, checkpoints, artifacts)
            graph["run"], graph["best"] = document["id"], own["digest"] == best
            graphs.append(graph)
    if not graphs:
        raise NoModelError(f"Run {document['id']} has no model yet: transfer learning has not ended.")
    return sorted(graphs, key=lambda graph: not graph["best"])


def of_file(model: Path, runs_directory: Path) -> Graph:
    """The graph of a model file, wherever it lies, with the runs that made its parts where they are found."""
    artifacts = Artifacts(store.every(runs_directory) if runs_directory.is_dir() else [])
    content = embedded(model)
    graph = build(content["model"], content["records"], content.get("checkpoints"), artifacts)
    graph["nodes"][0]["path"] = str(model)
    return graph


def _best(document: Run) -> str | None:
    for step in document["steps"]:
        if step["name"] == "report" and "model" in step["outputs"]:
            described = metadata(Path(step["outputs"]["model"]))
            return described.get("digest") if described else None
    return None


def _origin(step: Step, artifacts: Artifacts) -> tuple[Entry, RecordsEntry | None, CheckpointEntry | None]:
    """What a training's model, its records and its checkpoints say of themselves; None for what is gone or was not."""
    path = Path(step["outputs"]["model"])
    if (described := metadata(path)) is None:
        raise ArtifactGoneError(f"{path} is gone, or says nothing of where it came from. Run the pipeline again.")
    own = entry(described)
    prepared = _entry(artifacts, "prepare", "records", own["inputs"].get("records"))
    records = cast("RecordsEntry | None", prepared)  # whose further keys are only in a model file
    checkpoints: CheckpointEntry | None = None
    started_from = _entry(artifacts, "transfer", "checkpoints", own["inputs"].get("checkpoints"))
    if step["name"] == "finetune" and started_from:
        found, _, _ = artifacts.get("transfer", "checkpoints", started_from["digest"])
        epoch_digest = None
        try:
            heads = json.loads((Path(found or "") / "checkpoints.json").read_text(encoding="utf-8"))["heads"]
            epoch_digest = heads.get(str(step["switch_epoch"]))
        except (OSError, ValueError, LookupError):
            pass  # --verify says that they are gone
        checkpoints = {**started_from, "epoch": step["switch_epoch"] or 0, "epoch_digest": epoch_digest}
    return own, records, checkpoints


def _entry(artifacts: Artifacts, step: str, output: str, digest: str | None) -> Entry | None:
    _, described, _ = artifacts.get(step, output, digest)
    return entry(described) if described else None


def build(own: Entry, records: RecordsEntry | None, checkpoints: CheckpointEntry | None, artifacts: Index) -> Graph:
    """Nodes and edges of one model, from what `metadata.embed` writes; the model is the first node."""
    graph = _Builder(artifacts)
    name = "transfer learning alone"
    if checkpoints:
        name = f"fine-tuned from epoch {checkpoints['epoch']} at {own['parameters']['learning_rate']:g}"
    name += of_seed(own)
    model = trained = graph.add("model", "model", own, None, name=name)
    if checkpoints:
        trained = graph.checkpoint(checkpoints, model)
    if records:
        graph.photos(records, list(dict.fromkeys((trained, model))))
    graph.weights(checkpoints or own, trained)
    return {"model": model, "nodes": graph.nodes, "edges": graph.edges}


def of_seed(made: Entry) -> str:
    """What tells trainings of several seeds apart: the end of a name."""
    seed = made["parameters"].get("seed")
    return "" if seed is None else f", seed {seed}"


class _Builder:
    """A graph that grows; each method gives or takes the ids of nodes."""

    def __init__(self, artifacts: Index) -> None:
        self.artifacts = artifacts
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []

    def add(
        self, kind: str, output: str, made: Entry, below: str | None, name: str = "", shown: str | None = None
    ) -> str:
        """Add a node, if it is not there, and an edge to what was made of it."""
        path, described, run = self.artifacts.get(made["step"], output, made["digest"])
        # Beside the artifact the addresses are written down, which no model file carries.
        parameters = json.loads(described["parameters"]) if described else made["parameters"]
        digest = shown or made["digest"]
        node: Node = {
            "id": f"{kind}-{(digest or 'unknown')[:16]}",
            "kind": kind,
            "name": name,
            "digest": digest,
            "step": made["step"],
            "code_digest": made["code_digest"],
            "parameters": parameters,
            "made_by_run": run,
            "path": None if path is None else f"{path}/{MODEL}" if kind == "model" else str(path),
        }
        if node["id"] not in {other["id"] for other in self.nodes}:
            self.nodes.append(node)
        if below:
            self.edges.append({"from": node["id"], "to": below})
        return node["id"]

    def checkpoint(self, made: CheckpointEntry, model: str) -> str:
        """The checkpoint that a model was fine-tuned from."""
        name, shown = f"epoch {made['epoch']}{of_seed(made)}", made.get("epoch_digest")
        added = self.add("checkpoint", "checkpoints", made, model, name, shown)
        self.nodes[-1]["epoch"], self.nodes[-1]["checkpoints_digest"] = made["epoch"], made["digest"] or ""
        return added

    def photos(self, made: RecordsEntry, users: list[str]) -> None:
        """The records that were trained on, and their dataset."""
        added = [self.add("records", "records", made, user) for user in users][-1]
        self.nodes[-1]["classes"], self.nodes[-1]["photos"] = made.get("classes"), made.get("photos")
        named = {key: value for key, value in made["parameters"].items() if key in ("dataset", "dataset_name")}
        source: Entry = {
            "step": made["step"],
            "digest": made["inputs"].get("dataset"),
            "code_digest": made["code_digest"],
            "parameters": named,
            "inputs": {},
        }
        self.add("dataset", "source", source, added)

    def weights(self, made: Entry, user: str) -> None:
        """The pretrained weights that transfer learning began with."""
        if digest := made["inputs"].get("weights"):
            told = ("backbone", "weights", "weights_name")
            named = {key: value for key, value in made["parameters"].items() if key in told}
            self.add("weights", "pretrained", {**made, "step": "transfer", "digest": digest, "parameters": named}, user)
            self.nodes[-1]["parameters"] = {"backbone": named.get("backbone")} | self.nodes[-1]["parameters"]


def merged(graphs: list[Graph]) -> Graph:
    """Several graphs as one: what they share appears once."""
    nodes = {node["id"]: node for graph in graphs for node in graph["nodes"]}
    edges = {(edge["from"], edge["to"]): edge for graph in graphs for edge in graph["edges"]}
    return graphs[0] | {"nodes": list(nodes.values()), "edges": list(edges.values())}


def inputs(graph: Graph, node: str) -> Iterator[Node]:
    """What a node was made of."""
    sources = [edge["from"] for edge in graph["edges"] if edge["to"] == node]
    return (found for found in graph["nodes"] if found["id"] in sources)


def title(node: Node) -> str:
    """A node in a few words: its kind, and what a person calls it."""
    words = {"weights": "pretrained weights"}.get(node["kind"], node["kind"])
    # A model file from elsewhere knows the last part of the address alone.
    known = (node["parameters"].get(key) for key in (node["kind"], f"{node['kind']}_name"))
    name = node["name"] or next(filter(None, known), "")
    return f"{words} {name}".strip() if node["kind"] != "model" else f"model, {name}"
