"""The commands that look into a run: where a model came from, and how a training goes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from switchpoint import addresses
from switchpoint.command.cli.flags import (
    READ_FROM,
    WHICH_RUN,
    as_json,
    connection_flags,
    pipeline_root_flag,
    runs_dir,
)

if TYPE_CHECKING:
    from switchpoint.command.documents import Check, Graph


@click.command()
@click.argument("target", metavar="RUN|MODEL.keras", required=False)
@click.option("--all", "every", is_flag=True, help="All models of the run, not the best alone.")
@click.option("--mermaid", is_flag=True, help="A Mermaid flowchart, for a page in Markdown.")
@click.option("--verify", is_flag=True, help="Compute digests anew; exit 1 if one no longer matches.")
@pipeline_root_flag(READ_FROM)
@runs_dir
@connection_flags
@as_json
def lineage(
    target: str | None,
    every: bool,
    mermaid: bool,
    verify: bool,
    pipeline_root: str | None,
    runs_dir: Path,
    as_json: bool,
    **connection: Any,
) -> None:
    """Show where a model came from: checkpoint, records, dataset and pretrained weights.

    RUN is a run of this machine (by default the newest) or, with --host, the id of one on Kubeflow Pipelines; of a
    run the best model is shown. A MODEL.keras may lie anywhere: it carries its own lineage.
    """
    if as_json and mermaid:
        raise click.UsageError("Give --json or --mermaid, not both.")
    if connection["host"] and every:
        raise click.UsageError("--all is for a run of this machine; of one on a cluster the best model is shown.")
    from switchpoint.command.lineage import graph as lineage_graph
    from switchpoint.command.lineage import mermaid as flowchart

    graphs = _graphs(target, runs_dir, connection, pipeline_root)
    # A run that failed or still goes has no best model yet: all that it has are shown.
    chosen = graphs if every or not graphs[0].get("best", True) else graphs[:1]
    graph = lineage_graph.merged(chosen)
    checks = None
    if verify:
        from switchpoint.command.lineage.check import verify as check

        checks = check(graph)
    if as_json:
        click.echo(json.dumps({**graph, **({} if checks is None else {"checks": checks})}, indent=1))
    elif mermaid:
        click.echo(flowchart.mermaid(graph))
    else:
        _show(chosen)
    _tell(checks, to_stderr=as_json or mermaid)
    if checks and any(check["ok"] is False for check in checks):
        sys.exit(1)


def _graphs(
    target: str | None, runs_directory: Path, connection: dict[str, Any], pipeline_root: str | None
) -> list[Graph]:
    from switchpoint.command.lineage import graph as lineage_graph
    from switchpoint.command.runs import store as runs

    if connection["host"]:
        from switchpoint.command.cluster import client as cluster
        from switchpoint.command.lineage import cluster as lineage_cluster

        if not target:
            raise click.UsageError(WHICH_RUN)
        kubeflow = cluster.Cluster(**connection)
        return [lineage_cluster.of_run(kubeflow, kubeflow.find(target), pipeline_root)]
    if target and (addresses.is_remote(target) or addresses.unsupported(target)):
        raise click.UsageError(f"{target!r} is an address: fetch the model, then give its path.")
    if target and (target.endswith(".keras") or Path(target).is_file()):
        return [lineage_graph.of_file(Path(target), runs_directory)]
    return lineage_graph.of_run(runs.find(runs_directory, target))


def _show(graphs: list[Graph]) -> None:
    from switchpoint.command.cli import console
    from switchpoint.command.lineage import view as lineage_view

    output = console.wide()
    for graph in graphs:
        if "uri" in graph:
            output.print(f"Read from {graph['uri']}", markup=False, highlight=False, soft_wrap=True)
        output.print(lineage_view.tree(graph))
    if "run" not in graphs[0] and not any(node["made_by_run"] for node in graphs[0]["nodes"]):
        output.print("No run here made any of it; this is what the model file says (--runs-dir looks elsewhere).")


def _tell(checks: list[Check] | None, to_stderr: bool) -> None:
    from rich.console import Console

    from switchpoint.command.lineage import view as lineage_view

    output = Console(stderr=to_stderr)
    for check in checks or ():
        output.print(lineage_view.check_line(check), soft_wrap=True)


@click.command()
@click.argument("run", required=False)
@runs_dir
@click.option("--port", type=click.IntRange(1, 65535), default=6006, show_default=True, help="Where it listens.")
@pipeline_root_flag(READ_FROM)
@connection_flags
def tensorboard(run: str | None, runs_dir: Path, port: int, pipeline_root: str | None, **connection: Any) -> None:
    """Start TensorBoard on the logs of RUN (by default the newest), also while it trains. Ctrl-C ends it.

    With --host, RUN is the id of a run on Kubeflow Pipelines. The logs of a training are there when it has ended; they
    are copied here for as long as TensorBoard runs.
    """
    from switchpoint.command.runs import store as runs
    from switchpoint.command.runs.tensorboard import link, serve

    if not connection["host"]:
        document = runs.find(runs_dir, run)
        serve(lambda: link(runs_dir, document["id"]), document["id"], port, click.echo)
        return
    if not run:
        raise click.UsageError(WHICH_RUN)
    from switchpoint.command.cluster.client import Cluster
    from switchpoint.command.cluster.curves import Curves

    kubeflow = Cluster(**connection)
    with Curves(kubeflow, kubeflow.find(run), pipeline_root) as curves:
        serve(curves.renew, curves.name, port, click.echo)
