"""The lineage of a run on a cluster: KFP's API shows no artifacts, so it is read from the store that the run wrote to.

The best model's file says what it was made of. Which run made each of it is looked up by digest among the outputs
of the cluster's runs: ROOT/PIPELINE/RUN/TASK/random/OUTPUT, where a run has only what it did not take from the cache.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from switchpoint import addresses, storage
from switchpoint.command.cluster import rerun as cluster_rerun
from switchpoint.command.cluster import results as cluster_results
from switchpoint.command.cluster.artifacts import Artifacts, direct, listable, root_of
from switchpoint.command.cluster.client import Cluster, Run, numbers, state
from switchpoint.command.errors import ClusterError
from switchpoint.command.lineage import graph as lineage_graph
from switchpoint.data.manifest import MANIFEST
from switchpoint.errors import StorageError, SwitchpointError
from switchpoint.provenance.metadata import MODEL, embedded
from switchpoint.training import checkpoints

if TYPE_CHECKING:
    from switchpoint.command.documents import Graph

# The file of an output that says which one it is; the others are a file themselves.
_TELLING = {"records": MANIFEST, "checkpoints": checkpoints.MANIFEST, "model": MODEL}


def of_run(cluster: Cluster, run: Run, pipeline_root: str | None = None) -> Graph:
    """The graph of a run's best model.

    Args:
        cluster: Where it ran.
        run: One that succeeded.
        pipeline_root: Where artifacts go when the run names no root itself.

    Raises:
        ClusterError: It has no best model, or that can't be read from here.
    """
    if run.state != "SUCCEEDED":
        raise ClusterError(f"The run is {state(run)}: only a run that succeeded has a best model.")
    uri = cluster_results.read(cluster, run, pipeline_root)["model"]
    with tempfile.TemporaryDirectory() as directory:
        model = Path(directory, MODEL)
        Artifacts(cluster).download(uri, model)
        best = hashlib.sha256(model.read_bytes()).hexdigest()
        try:
            content = embedded(model)
        except SwitchpointError as error:
            raise ClusterError(str(error).replace(str(model), uri)) from error
    artifacts = _Outputs(cluster, run, pipeline_root, uri, best)
    graph = lineage_graph.build(content["model"], content["records"], content.get("checkpoints"), artifacts)
    given = cluster_rerun.look_at(cluster, run).parameters
    for node in graph["nodes"]:
        if node["kind"] in ("dataset", "weights"):  # a model file carries no addresses
            node["parameters"].pop(f"{node['kind']}_name", None)
            node["parameters"] = node["parameters"] | {node["kind"]: given[node["kind"]]}
    graph["nodes"][0]["path"] = graph["nodes"][0]["path"] or uri
    graph["run"], graph["uri"] = run.run_id, uri
    return graph


class _Outputs:
    """Outputs of the cluster's runs, as `lineage_graph.build` asks for them."""

    def __init__(self, cluster: Cluster, run: Run, pipeline_root: str | None, best: str, sha256: str) -> None:
        runs = [run, *(other for other in cluster.runs() if other.run_id != run.run_id)]
        self.artifacts = Artifacts(cluster)
        self.roots = {each.run_id: root_of(each, pipeline_root) for each in runs}
        self.own, self.sha256 = run.run_id, sha256
        self.seeds = len(numbers(run, "seeds"))  # of several, a run's transfer may be another seed's
        self.best = _content(best) if direct(best) else None
        self.outputs = functools.cache(self._outputs)
        self.digest_of = functools.cache(self._digest_of)

    def get(self, step: str, output: str, digest: str | None) -> tuple[str | None, None, str | None]:
        """Where an output lies and which run made it; None when no run has it any more."""
        telling = f"/{_TELLING[output]}" if output in _TELLING else ""
        own: tuple[str | None, None, str | None] = (None, None, None)
        for run_id in self.roots:
            for uri, content in self.outputs(run_id):
                if not re.search(rf"/{run_id}/{step}/[^/]+/{output}{telling}$", uri):
                    continue
                found = uri.removesuffix(telling), None, run_id
                if output == "model":  # the report keeps a copy of the best one, byte for byte
                    if content == self.best if content and self.best else self.digest_of(uri, output) == self.sha256:
                        return found
                elif self.digest_of(uri, output) == digest:
                    return found
                elif run_id == self.own and (step == "prepare" or self.seeds < 2):
                    own = found  # what this run made and used, so it was changed since; --verify says that
        return own

    def _outputs(self, run_id: str) -> list[tuple[str, tuple[storage.Version, int] | None]]:
        """Addresses of files; with what the store says of their content, where it can be listed."""
        root = self.roots[run_id]
        try:
            if listable(root):
                return [(uri, item.content) for uri, item in self.artifacts.listed(run_id, root)]
            named = self.artifacts.named(run_id)
        except (ClusterError, StorageError):
            if run_id == self.own:
                raise
            return []  # an older run's bucket may be gone, or another's
        return [
            (f"{uri}/{_TELLING[last]}" if (last := addresses.last_part(uri)) in _TELLING else uri, None)
            for uri in named
        ]

    def _digest_of(self, uri: str, output: str) -> str | None:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "file")
            try:
                self.artifacts.download(uri, path)
            except StorageError:
                if direct(uri):
                    raise
                return None  # the UI has no word for what is gone
            content = path.read_bytes()
        if output in ("checkpoints", "model"):
            return hashlib.sha256(content).hexdigest()
        try:
            return str(json.loads(content)["digest"])
        except (ValueError, LookupError, TypeError):
            return None  # damaged


def _content(uri: str) -> tuple[storage.Version, int] | None:
    """What the store says of an object's content; None where the settings here are another store's."""
    try:
        return next((item.content for item in storage.listing(uri)), None)
    except StorageError:
        return None
