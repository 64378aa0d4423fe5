"""Lineage as a graph: from a model back to its checkpoint, records, dataset and pretrained weights.

It is read from what travels with the artifacts: beside each on this machine (`executor_output.json`), or in the model
file itself. No step imports this module, so a change here runs nothing again.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from switchpoint.command.runs import store as runs
from switchpoint.command.runs.results import MODEL
from switchpoint.errors import SwitchpointError
from switchpoint.provenance.metadata import embedded, entry

Node = dict[str, Any]
Graph = dict[str, Any]
_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


def located(uri: str, runs_directory: Path) -> Path:
    """Where an artifact of a run lies now: runs may have been moved since they wrote down their paths."""
    path = Path(uri)
    place = next((number for number, part in enumerate(path.parts) if _RUN.fullmatch(part)), None)
    moved = runs_directory.resolve().joinpath(*path.parts[place:]) if place is not None else path
    return moved if moved.exists() or not path.exists() else path


def maker(uri: str) -> str | None:
    """The run in whose directory an artifact lies: for a cached one, the run that made it."""
    return next((part for part in Path(uri).parts if _RUN.fullmatch(part)), None)


def metadata(path: Path) -> dict[str, Any] | None:
    """What KFP wrote down of an output on this machine; None when it is gone or not ours."""
    try:
        output = json.loads((path.parent / "executor_output.json").read_text(encoding="utf-8"))
        found = dict(output["artifacts"][path.name]["artifacts"][0]["metadata"])
    except (OSError, ValueError, LookupError):
        return None
    return found if {"step", "code_digest", "parameters", "inputs"} <= set(found) else None


class Index(Protocol):
    """Finds artifacts by digest: on this machine, or in the bucket of a cluster."""

    def get(
        self, step: str, output: str, digest: str | None
    ) -> tuple[Path | str | None, dict[str, Any] | None, str | None]:
        """Where an artifact lies, its metadata, the run that made it; each None where it is not known."""


class Artifacts:
    """Artifacts of the runs of this machine, by step, output and digest."""

    def __init__(self, runs_directory: Path, documents: list[runs.Document]) -> None:
        self.found: dict[tuple[str, str, str], tuple[Path, dict[str, Any], str | None]] = {}
        for document in documents:
            for step in document["steps"]:
                for output, uri in step["outputs"].items():
                    path = located(uri, runs_directory)
                    if described := metadata(path):
                        key = (described["step"], output, described.get("digest", ""))
                        self.found.setdefault(key, (path, described, maker(uri)))

    def get(self, step: str, output: str, digest: str | None) -> tuple[Path | None, dict[str, Any] | None, str | None]:
        """Path, metadata and run of an artifact; three None when no run has it."""
        return self.found.get((step, output, digest or ""), (None, None, None))


def of_run(document: runs.Document, runs_directory: Path) -> list[Graph]:
    """A graph for each model of a run, the best one first.

    Raises:
        SwitchpointError: The run has no model yet, or its artifacts are gone.
    """
    artifacts = Artifacts(runs_directory, [document])
    best = _best(document, runs_directory)
    graphs = []
    for step in document["steps"]:
        if step["name"] not in ("transfer", "finetune") or "model" not in step["outputs"]:
            continue
        path = located(step["outputs"]["model"], runs_directory)
        if (described := metadata(path)) is None:
            raise SwitchpointError(f"{path} is gone, or says nothing of where it came from. Run the pipeline again.")
        own = entry(described)
        records = _entry(artifacts, "prepare", "records", own["inputs"].get("records"))
        checkpoints = _entry(artifacts, "transfer", "checkpoints", own["inputs"].get("checkpoints"))
        if step["name"] == "finetune" and checkpoints:
            checkpoints |= {"epoch": step["switch_epoch"], "epoch_digest": None}
            found, _, _ = artifacts.get("transfer", "checkpoints", checkpoints["digest"])
            try:
                heads = json.loads((Path(found or "") / "checkpoints.json").read_text(encoding="utf-8"))["heads"]
                checkpoints["epoch_digest"] = heads.get(str(step["switch_epoch"]))
            except (OSError, ValueError, LookupError):
                pass  # --verify says that they are gone
        content = {"model": own, "records": records}
        graph = build(content | ({"checkpoints": checkpoints} if checkpoints else {}), artifacts)
        graph["run"], graph["best"] = document["id"], own["digest"] == best
        graphs.append(graph)
    if not graphs:
        raise SwitchpointError(f"Run {document['id']} has no model yet: transfer learning has not ended.")
    return sorted(graphs, key=lambda graph: not graph["best"])


def of_file(model: Path, runs_directory: Path) -> Graph:
    """The graph of a model file, wherever it lies, with the runs that made its parts where they are found."""
    artifacts = Artifacts(runs_directory, runs.every(runs_directory) if runs_directory.is_dir() else [])
    graph = build(embedded(model), artifacts)
    graph["nodes"][0]["path"] = str(model)
    return graph


def _best(document: runs.Document, runs_directory: Path) -> str | None:
    for step in document["steps"]:
        if step["name"] == "report" and "model" in step["outputs"]:
            described = metadata(located(step["outputs"]["model"], runs_directory))
            return described.get("digest") if described else None
    return None


def _entry(artifacts: Artifacts, step: str, output: str, digest: str | None) -> dict[str, Any] | None:
    _, described, _ = artifacts.get(step, output, digest)
    return entry(described) if described else None


def build(content: dict[str, Any], artifacts: Index) -> Graph:
    """Nodes and edges of one model, from what `metadata.embed` writes; the model is the first node."""
    nodes: list[Node] = []
    edges: list[dict[str, str]] = []

    def add(kind: str, name: str, output: str, made: dict[str, Any], below: str | None, **more: Any) -> str:
        path, described, run = artifacts.get(made["step"], output, made["digest"])
        if described:  # beside the artifact the places are written down, which no model file carries
            made = made | {"parameters": json.loads(described["parameters"])}
        digest = more.pop("shown_digest", made["digest"])
        node = {
            "id": f"{kind}-{(digest or made['digest'] or 'unknown')[:16]}",
            "kind": kind,
            "name": name,
            "digest": digest,
            "step": made["step"],
            "code_digest": made["code_digest"],
            "parameters": made["parameters"],
            "made_by_run": run,
            "path": None if path is None else f"{path}/{MODEL}" if kind == "model" else str(path),
        } | more
        if node["id"] not in {other["id"] for other in nodes}:
            nodes.append(node)
        if below:
            edges.append({"from": str(node["id"]), "to": below})
        return str(node["id"])

    own, records, checkpoints = content["model"], content["records"], content.get("checkpoints")
    name = f"fine-tuned from epoch {checkpoints['epoch']}" if checkpoints else "transfer learning alone"
    model = add("model", name, "model", own, None)
    trained = model
    if checkpoints:
        trained = add(
            "checkpoint", f"epoch {checkpoints['epoch']}", "checkpoints", checkpoints, model,
            epoch=checkpoints["epoch"], shown_digest=checkpoints.get("epoch_digest") or checkpoints["digest"],
            checkpoints_digest=checkpoints["digest"],
        )  # fmt: skip
    transfer = checkpoints or own
    weights = transfer["inputs"].get("weights")
    if records:
        for user in dict.fromkeys((trained, model)):
            photos = add(
                "records", "", "records", records, user,
                classes=records.get("classes"), photos=records.get("photos"),
            )  # fmt: skip
        dataset = {
            "step": "prepare",
            "digest": records["inputs"].get("dataset"),
            "code_digest": records["code_digest"],
            "parameters": {key: value for key, value in records["parameters"].items() if key == "dataset"},
        }
        add("dataset", "", "source", dataset, photos)
    if weights:
        parameters = {key: value for key, value in transfer["parameters"].items() if key in ("backbone", "weights")}
        pretrained = {"step": "transfer", "digest": weights, "parameters": parameters}
        add("weights", "", "pretrained", pretrained | {"code_digest": transfer["code_digest"]}, trained)
    for node in nodes:
        if node["kind"] == "weights":
            node["parameters"] = {"backbone": transfer["parameters"].get("backbone")} | node["parameters"]
    return {"model": model, "nodes": nodes, "edges": edges}


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
    name = node["name"] or node["parameters"].get(node["kind"], "")
    return f"{words} {name}".strip() if node["kind"] != "model" else f"model, {name}"


def mermaid(graph: Graph) -> str:
    """A flowchart in Mermaid's language, the way the data goes."""
    numbers = {node["id"]: f"n{number}" for number, node in enumerate(graph["nodes"])}
    lines = ["flowchart LR"]
    for node in graph["nodes"]:
        text = [title(node), f"digest {(node['digest'] or 'unknown')[:12]}", f"step {node['step']}"]
        if node["made_by_run"]:
            text.append(f"run {node['made_by_run']}")
        lines.append(f'    {numbers[node["id"]]}["{"<br/>".join(map(_escaped, text))}"]')
    lines += [f"    {numbers[edge['from']]} --> {numbers[edge['to']]}" for edge in graph["edges"]]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Every character that could mean something to Mermaid or HTML as its number: names and paths are data."""
    coded = "".join(
        letter if (letter.isascii() and letter.isalnum()) or letter in " ._-/:," else f"#{ord(letter)};"
        for letter in text
    )
    # Mermaid takes a whole line with "direction LR" in it for that command, also inside of quotes.
    return coded.replace("direction ", "direction#32;")
