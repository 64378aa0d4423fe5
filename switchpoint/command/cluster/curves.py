"""TensorBoard's logs of a run on a cluster, copied here: KFP's launcher writes them to the bucket when a step ends."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from pathlib import Path

from switchpoint import storage
from switchpoint.command.cluster import results
from switchpoint.command.cluster.artifacts import Artifacts, listable, root_of
from switchpoint.command.cluster.client import FINISHED, Cluster, Run, parameters_of
from switchpoint.command.errors import ClusterError
from switchpoint.command.runs.steps import RATES, several
from switchpoint.errors import StorageError

PAUSE = 30.0  # seconds between two looks into the bucket


class Curves:
    """The logs of a run's trainings in a directory, under names that say what they are, for as long as it is open."""

    def __init__(self, cluster: Cluster, run: Run, pipeline_root: str | None) -> None:
        """Nothing is copied yet.

        Raises:
            ClusterError: The run's artifacts are where they can't be read from here.
        """
        self.cluster, self.run, self.pipeline_root, self.name = cluster, run, pipeline_root, str(run.run_id)
        self.looked = -PAUSE
        self.ended = False
        self.done: set[str] = set()
        self.epochs: dict[str, int] = {}  # of the logs that are there
        if not listable(root_of(run, pipeline_root)):
            raise ClusterError(
                f"The artifacts are {root_of(run, pipeline_root) or 'where the cluster is set to keep them'}, which "
                "can't be listed from here; a bucket can: --pipeline-root gs://… or s3://…, for which AWS_ENDPOINT_URL "
                f"and credentials are set. The report has the curves too: {cluster.url(self.name)}"
            )
        self.place = tempfile.TemporaryDirectory()

    def __enter__(self) -> Curves:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the copies."""
        self.place.cleanup()

    def renew(self) -> Path:
        """Copy the logs that are new, not more often than every `PAUSE` seconds; gives the directory."""
        if not self.ended and time.monotonic() - self.looked >= PAUSE:
            try:
                self.run = self.cluster.run(self.name)
                self.ended = self.run.state in FINISHED
                self._copy()
            except (ClusterError, StorageError):
                if not self.done:
                    raise  # at the beginning; later it may pass
            self.looked = time.monotonic()
        return Path(self.place.name)

    def _copy(self) -> None:
        wanted = self._chosen()
        runs = [self.run, *(each for each in self.cluster.runs() if each.run_id != self.name)] if wanted else [self.run]
        for run in runs:
            if wanted is not None and not wanted - self.done:
                return
            if listable(root_of(run, self.pipeline_root)):
                self._of_run(run, wanted)

    def _chosen(self) -> set[str] | None:
        """Digests of the models whose curves are the run's, cached ones too; None: those that it trained itself."""
        if self.run.state != "SUCCEEDED":
            return None
        try:
            found = results.read(self.cluster, self.run, self.pipeline_root)["results"]
        except ClusterError:
            return None
        return {row["model_digest"] for row in found}

    def _of_run(self, run: Run, wanted: set[str] | None) -> None:
        for uri, _ in Artifacts(self.cluster).listed(run.run_id, root_of(run, self.pipeline_root)):
            if not re.search(rf"/{run.run_id}/(transfer|finetune)/[^/]+/history$", uri):
                continue
            history, _ = storage.read_json(uri)
            digest, epoch = str(history["model_digest"]), history["switch_epoch"]
            if digest in self.done or (wanted is not None and digest not in wanted):
                continue
            loops = parameters_of(self.run)
            name = f"finetune-from-{epoch:02d}" if epoch else "transfer"
            name += f"-at-{history['learning_rate']}" * bool(epoch and several(loops, RATES))
            name += f"-seed-{history['seed']}" * several(loops, "seeds")
            target = Path(self.place.name, name)
            if len(history["epochs"]) > self.epochs.get(name, -1):  # else it is of an earlier rung
                shutil.rmtree(target, ignore_errors=True)
                storage.download(f"{uri.removesuffix('history')}logs", target)
                self.epochs[name] = len(history["epochs"])
            self.done.add(digest)
