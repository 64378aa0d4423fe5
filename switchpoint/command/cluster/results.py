"""What a run on a cluster came to, read from the store that it wrote to.

KFP's launcher writes an output to ROOT/PIPELINE/RUN/TASK/random/OUTPUT. A report from the cache lies in the run that
made it: an earlier one with the same parameters, the same images and the same digests of dataset and weights, since
nothing else goes into a report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from switchpoint.command.cluster.artifacts import Artifacts, listable, root_of
from switchpoint.command.cluster.client import Cluster, Run, parameters_of
from switchpoint.command.cluster.rerun import images
from switchpoint.command.cluster.submission import PIPELINE
from switchpoint.command.errors import ClusterError
from switchpoint.errors import LostError, StorageError
from switchpoint.provenance.digests import AT_END
from switchpoint.provenance.metadata import MODEL

if TYPE_CHECKING:
    from switchpoint.documents.lineage import Parameters

ENDED = ("SUCCEEDED", "FAILED")
TOLD = {"promote": ("promotion", "promotion"), "drift": ("comparison", "drift")}  # output, name in a run's document


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
        `results`, `best`, `verdict` and `conclusion`, where `report` and `model` are, and what came of
        its `drift` and its `promotion`.

    Raises:
        ClusterError: Says why they can't be had from here, and where they are to be seen.
    """
    seen = f"See the report there: {cluster.url(run.run_id)} (step Report, its artifact `page`, tab Visualization)."
    artifacts, lost = Artifacts(cluster), None
    for candidate in _same_reports(cluster, run, runs, artifacts, pipeline_root):
        root = root_of(candidate, pipeline_root)
        try:
            if found := artifacts.find(candidate, root, "report", "results"):
                content = artifacts.read_json(found)
                base = found.rpartition("/")[0]
                found_at = {"report": f"{base}/page", "model": f"{base}/model/{MODEL}"}
                # An older pipeline's report has no verdict.
                told = ("results", "search", "starts", "best", "verdict", "differences", "leaked", "conclusion")
                own = _never_cached(artifacts, run, root_of(run, pipeline_root))
                return {key: content[key] for key in told if key in content} | found_at | own
        except LostError as error:
            lost = lost or error
        except StorageError as error:
            raise ClusterError(f"{error} {seen}") from error
    if lost:
        raise ClusterError(f"{lost} {seen}") from lost
    root = root_of(run, pipeline_root)
    if listable(root):
        raise ClusterError(f"The report is not below {root}/{PIPELINE}, nor in an earlier equal run. {seen}")
    raise ClusterError(
        f"The report is in none of the outputs that the cluster still knows of; they are "
        f"{f'in {root}' if root else 'where the cluster is set to keep them'}. "
        f"A bucket that can be read from here: --pipeline-root gs://… or s3://… {seen}"
    )


def _never_cached(artifacts: Artifacts, run: Run, root: str) -> dict[str, Any]:
    """What came of the run's own steps beside the report, by what the document calls it, where it can be had."""
    told = {}
    for step in AT_END:
        output, name = TOLD[step]
        for found in artifacts.every(run, root, step, output) if parameters_of(run).get(step) else ():
            with suppress(LostError):  # of an attempt that ended before it was written
                told[name] = artifacts.read_json(found)
    return told


def _same_reports(
    cluster: Cluster, run: Run, runs: Sequence[Run] | None, artifacts: Artifacts, pipeline_root: str | None
) -> Iterator[Run]:
    """The run, and the earlier ones whose report must be the same, newest first."""
    yield run
    own, data = _made_by(cluster, run), artifacts.digests(run, root_of(run, pipeline_root))
    if data is None:
        return  # it may have seen other photos than an earlier one
    for earlier in cluster.runs() if runs is None else runs:
        if (
            earlier.run_id != run.run_id
            and earlier.state in ENDED  # a step after the report may have failed
            and earlier.created_at <= run.created_at
            and _sorted(parameters_of(earlier)) == _sorted(parameters_of(run))
            and _made_by(cluster, earlier) == own
            and artifacts.digests(earlier, root_of(earlier, pipeline_root)) == data
        ):
            yield earlier


def _made_by(cluster: Cluster, run: Run) -> dict[str, str]:
    """The images of the steps that a report comes from."""
    return {step: name for step, name in images(cluster.spec(run)).items() if step not in AT_END}


def _sorted(values: Parameters) -> Parameters:
    """What a report depends on: lists in any order, and not what becomes of it."""
    lists = {name: sorted(value) for name, value in values.items() if isinstance(value, list)}
    return {**values, **lists, "drift": "", "promote": "", "promote_margin": 0.0}
