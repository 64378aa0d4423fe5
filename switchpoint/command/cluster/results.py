"""What a run on a cluster came to, read from the bucket that it wrote to.

KFP's launcher writes an output to ROOT/PIPELINE/RUN/TASK/random/OUTPUT. A report from the cache lies in the run that
made it: an earlier one with the same parameters and the same images, since nothing else goes into a report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from switchpoint import addresses, storage
from switchpoint.command.cluster.client import Cluster, Run, parameters_of
from switchpoint.command.cluster.rerun import images
from switchpoint.command.cluster.submission import PIPELINE
from switchpoint.command.errors import ClusterError
from switchpoint.errors import StorageError
from switchpoint.provenance.metadata import MODEL

if TYPE_CHECKING:
    from switchpoint.documents import Parameters


def read(
    cluster: Cluster, run: Run, pipeline_root: str | None = None, runs: Sequence[Run] | None = None
) -> dict[str, Any]:
    """What the run's report says.

    Args:
        cluster: Where it ran.
        run: One that succeeded.
        pipeline_root: Where artifacts go when the run names no root itself.
        runs: The cluster's, where they are known already.

    Returns:
        `results`, `best`, `verdict` and `conclusion`, and where `report` and `model` are.

    Raises:
        ClusterError: Says why they can't be had from here, and where they are to be seen.
    """
    seen = f"See the report there: {cluster.url(run.run_id)} (step Report, its artifact `page`, tab Visualization)."
    for candidate in _same_reports(cluster, run, runs):
        root = (candidate.runtime_config and candidate.runtime_config.pipeline_root) or pipeline_root or ""
        if addresses.is_remote(root):
            try:
                if found := _report(root, candidate.run_id):
                    content, _ = storage.read_json(found)
                    base = found.rpartition("/")[0]
                    found_at = {"report": f"{base}/page", "model": f"{base}/model/{MODEL}"}
                    told = ("results", "best", "verdict", "conclusion")  # an older pipeline's report has no verdict
                    return {key: content[key] for key in told if key in content} | found_at
            except StorageError as error:
                raise ClusterError(f"{error} {seen}") from error
        elif candidate is run:
            where = f"in {root}" if root else "where the cluster is set to keep them"
            raise ClusterError(
                f"The artifacts are {where}, which can't be read from here; a bucket can: --pipeline-root gs://… {seen}"
            )
    raise ClusterError(f"The report is not below {root}/{PIPELINE}, nor in an earlier equal run. {seen}")


def _same_reports(cluster: Cluster, run: Run, runs: Sequence[Run] | None) -> Iterator[Run]:
    """The run, and the earlier ones whose report must be the same, newest first."""
    yield run
    own = images(cluster.spec(run))
    for earlier in cluster.runs() if runs is None else runs:
        if (
            earlier.run_id != run.run_id
            and earlier.state == "SUCCEEDED"
            and _sorted(parameters_of(earlier)) == _sorted(parameters_of(run))
            and images(cluster.spec(earlier)) == own
        ):
            yield earlier


def _sorted(values: Parameters) -> Parameters:
    return {**values, "switch_epochs": sorted(values["switch_epochs"])}


def _report(root: str, run_id: str) -> str | None:
    """The newest `results` that the report step of a run wrote."""
    bucket, name = addresses.parse(root)
    prefix = f"gs://{bucket}/{name.rstrip('/')}{'/' if name else ''}{PIPELINE}/{run_id}/report/"
    found = [item for item in storage.listing(prefix) if item.name.endswith("/results")]
    return f"gs://{bucket}/{max(found, key=lambda item: item.generation).name}" if found else None
