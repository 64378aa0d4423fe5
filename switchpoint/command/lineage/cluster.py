"""The lineage of a run on a cluster: KFP's API shows no artifacts, so it is read from the bucket that the run wrote to.

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
from switchpoint.command.cluster.client import Cluster, Run, state
from switchpoint.command.cluster.submission import PIPELINE
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
        storage.download(uri, model)
        try:
            content = embedded(model)
        except SwitchpointError as error:
            raise ClusterError(str(error).replace(str(model), uri)) from error
    artifacts = _Artifacts(cluster, run, pipeline_root, uri)
    graph = lineage_graph.build(content["model"], content["records"], content.get("checkpoints"), artifacts)
    given = cluster_rerun.look_at(cluster, run).parameters
    for node in graph["nodes"]:
        if node["kind"] in ("dataset", "weights"):  # a model file carries no addresses
            node["parameters"].pop(f"{node['kind']}_name", None)
            node["parameters"] = node["parameters"] | {node["kind"]: given[node["kind"]]}
    graph["nodes"][0]["path"] = graph["nodes"][0]["path"] or uri
    graph["run"], graph["uri"] = run.run_id, uri
    return graph


class _Artifacts:
    """Outputs of the cluster's runs in its bucket, as `lineage_graph.build` asks for them."""

    def __init__(self, cluster: Cluster, run: Run, pipeline_root: str | None, best: str) -> None:
        runs = [run, *(other for other in cluster.runs() if other.run_id != run.run_id)]
        roots = {
            each.run_id: (each.runtime_config and each.runtime_config.pipeline_root) or pipeline_root or ""
            for each in runs
        }
        self.prefixes = {
            run_id: f"{root.rstrip('/')}/{PIPELINE}/{run_id}/"
            for run_id, root in roots.items()
            if addresses.is_remote(root)
        }
        self.own = run.run_id
        self.best = storage.listing(best)[0]
        self.listing = functools.cache(self._listing)
        self.digest_in = functools.cache(_digest_in)

    def get(self, step: str, output: str, digest: str | None) -> tuple[str | None, None, str | None]:
        """Where an output lies and which run made it; None when no run has it any more."""
        telling = f"/{_TELLING[output]}" if output in _TELLING else ""
        own: tuple[str | None, None, str | None] = (None, None, None)
        for run_id, prefix in self.prefixes.items():
            bucket, name = addresses.parse(prefix)
            for item in sorted(self.listing(run_id), key=lambda item: item.generation):
                if not re.fullmatch(rf"{step}/[^/]+/{output}{telling}", item.name.removeprefix(name)):
                    continue
                uri = f"gs://{bucket}/{item.name}"
                found = uri.removesuffix(telling), None, run_id
                if output == "model":  # the report keeps a copy of the best one, byte for byte
                    if (item.crc32c, item.size) == (self.best.crc32c, self.best.size):
                        return found
                elif self.digest_in(uri, output) == digest:
                    return found
                elif run_id == self.own:
                    own = found  # what this run made and used, so it was changed since; --verify says that
        return own

    def _listing(self, run_id: str) -> list[storage.Object]:
        try:
            return storage.listing(self.prefixes[run_id])
        except StorageError:
            if run_id == self.own:
                raise
            return []  # an older run's bucket may be gone, or another's


def _digest_in(uri: str, output: str) -> str | None:
    with tempfile.TemporaryDirectory() as directory:
        storage.download(uri, path := Path(directory, "file"))
        content = path.read_bytes()
    if output == "checkpoints":
        return hashlib.sha256(content).hexdigest()
    try:
        return str(json.loads(content)["digest"])
    except (ValueError, LookupError, TypeError):
        return None  # damaged
