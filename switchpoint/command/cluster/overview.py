"""All runs of a cluster with what they came to, where that can be read."""

from __future__ import annotations

import concurrent.futures
import time
from typing import TYPE_CHECKING, Any, cast

from switchpoint.command.cluster import results
from switchpoint.command.cluster.artifacts import root_of
from switchpoint.command.cluster.client import Cluster, Run
from switchpoint.command.errors import ClusterError
from switchpoint.errors import LostError, StorageError

if TYPE_CHECKING:
    from switchpoint.command import documents

READERS = 8  # requests to the bucket at once
SOON = 5.0  # seconds in which a store that can be reached refuses


def documents_of(cluster: Cluster, pipeline_root: str | None, with_steps: bool) -> list[documents.Run]:
    """The cluster's runs, newest first; those whose report can't be read have no results.

    Args:
        cluster: Where they ran.
        pipeline_root: Where artifacts go, for runs that name no root themselves.
        with_steps: Also what became of their steps: a request for each run.
    """
    runs = cluster.runs()
    reader = _Reader(cluster, runs, pipeline_root)
    succeeded = [run for run in runs if run.state == "SUCCEEDED"]
    # The first ones alone: whether there is a way to the bucket is found out once.
    found = {run.run_id: reader.read(run) for run in succeeded[:2]}
    with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
        rest = succeeded[2:]
        found |= dict(zip((run.run_id for run in rest), pool.map(reader.read, rest), strict=True))
    shown = [cluster.document(run, with_steps) | found.get(run.run_id, {}) for run in runs]
    return cast("list[documents.Run]", shown)


class _Reader:
    """Reads reports, and leaves a place alone that could not be reached.

    What is lost or refused of one report says nothing of the others: a place is given up when it did not answer, or
    refused two and gave none.
    """

    def __init__(self, cluster: Cluster, runs: list[Run], pipeline_root: str | None) -> None:
        self.cluster, self.runs, self.pipeline_root = cluster, runs, pipeline_root
        self.closed: set[str] = set()
        self.refused: set[str] = set()
        self.gave: set[str] = set()

    def read(self, run: Run) -> dict[str, Any]:
        root = root_of(run, self.pipeline_root)
        if root in self.closed:
            return {}
        begun = time.monotonic()
        try:
            found = results.read(self.cluster, run, self.pipeline_root, self.runs)
            self.gave.add(root)
            return found
        except ClusterError as error:
            of_the_place = isinstance(error.__cause__, StorageError) and not isinstance(error.__cause__, LostError)
            if of_the_place and root not in self.gave:
                if root in self.refused or time.monotonic() - begun > SOON:
                    self.closed.add(root)
                self.refused.add(root)
            return {}
