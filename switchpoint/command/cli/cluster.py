"""The commands that reach beyond this machine: to Kubeflow Pipelines, and to a bucket."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from switchpoint.command import parameters as pipeline_parameters
from switchpoint.command.cli.flags import (
    Address,
    as_json,
    connection_flags,
    follow_flags,
    given,
    package_flags,
    parameter_flags,
    profile_flag,
    recipe_flag,
)
from switchpoint.command.errors import ClusterError

if TYPE_CHECKING:
    from switchpoint.command.documents import Run, Step
    from switchpoint.documents import Parameters

CONNECTION = ("host", "namespace", "token", "token_file", "cookies", "ca_cert")
RERUN_OPTIONS = (*CONNECTION, "profile", "registry", "device", "resume", "allow_code_change", "wait", "timeout")


@click.command()
@recipe_flag
@parameter_flags
@connection_flags
@profile_flag()
@package_flags
@click.option("--experiment", default="switchpoint", show_default=True, help="What the UI groups the run under.")
@click.option(
    "--pipeline-root",
    type=Address(local=False),
    metavar="gs://…",
    help="Where artifacts go; by default what the cluster is set to.",
)
@click.option("--service-account", help="What the run's pods run as, such as switchpoint-runner (k8s/README.md).")
@follow_flags
@as_json
def submit(
    recipe: str,
    profile: str,
    registry: str | None,
    device: str | None,
    resume: str | None,
    experiment: str,
    pipeline_root: str | None,
    service_account: str | None,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Run the pipeline on Kubeflow Pipelines."""
    connection = {name: flags.pop(name) for name in CONNECTION}
    values = pipeline_parameters.resolve(recipe, given(flags))
    from switchpoint.command import profiles
    from switchpoint.command.cluster import submission
    from switchpoint.command.cluster.client import Cluster
    from switchpoint.command.compilation import package
    from switchpoint.command.runs import store

    submission.check_visible(values, pipeline_root)
    submission.check_names(experiment, service_account)
    loaded = profiles.load(profile)
    if pipeline_root:
        resume = resume or loaded.resume or f"{pipeline_root.rstrip('/')}/resume"
    text = package(loaded, registry, device, resume)
    kubeflow = Cluster(**connection)
    started = submission.submit(
        kubeflow, pipeline_parameters.with_digests(values), text, profile=loaded.name, commit=store.commit(),
        experiment=experiment, pipeline_root=pipeline_root, service_account=service_account,
    )  # fmt: skip
    finish(kubeflow, started, wait, timeout, as_json, pipeline_root)


def rerun(
    run_id: str,
    changes: Parameters,
    *,
    profile: str | None,
    registry: str | None,
    device: str | None,
    resume: str | None,
    allow_code_change: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    **connection: Any,
) -> None:
    """Submit a run of the cluster again with what the flags change."""
    from switchpoint.command.cluster import rerun as cluster_rerun
    from switchpoint.command.cluster.client import Cluster

    kubeflow = Cluster(**connection)
    run = kubeflow.run(run_id)
    started = cluster_rerun.submit(
        kubeflow,
        run,
        changes,
        profile=profile,
        registry=registry,
        device=device,
        resume=resume,
        allow_code_change=allow_code_change,
    )
    finish(kubeflow, started, wait, timeout, as_json, None)


def runs(connection: dict[str, Any]) -> list[Run]:
    """The cluster's runs as documents."""
    from switchpoint.command.cluster import client

    cluster = client.Cluster(**connection)
    return [cluster.document(run) for run in cluster.runs()]


def finish(
    cluster: Any, started: Any, wait: bool, timeout: float | None, as_json: bool, pipeline_root: str | None
) -> None:
    """Say where the run is to be seen; with `wait` stay until it ends, show its results, exit 1 unless it succeeded."""
    from rich.console import Console

    from switchpoint.command.cli import console
    from switchpoint.command.cluster import results as cluster_results

    output = Console(file=sys.stderr if as_json else sys.stdout)

    def say(text: str) -> None:
        output.print(text, markup=False, highlight=False, soft_wrap=True)

    def changed(step: Step) -> None:
        words = {"ran": f"done in {step['seconds'] or 0:.0f} s"}
        say(f"{console.title(step):<14} {words.get(step['state'], step['state'])}")

    say(f"Run {started.run_id}: {started.display_name}\n{cluster.url(started.run_id)}")
    run, results, trouble = started, {}, ""
    if wait:
        try:
            run = cluster.follow(started.run_id, changed, timeout)
        except KeyboardInterrupt:
            raise ClusterError(f"Stopped waiting. The run goes on: {cluster.url(started.run_id)}") from None
        if run.state == "SUCCEEDED":
            try:
                results = cluster_results.read(cluster, run, pipeline_root)
            except ClusterError as error:
                trouble = str(error)
    document = cluster.document(run) | results
    if as_json:
        click.echo(json.dumps(document, indent=1))
    if wait and run.state != "SUCCEEDED":
        raise ClusterError(_failure(run, document, cluster.url(run.run_id)))
    if trouble:
        say(trouble)
    elif wait:
        output.print(console.results_table(results["results"], results["best"]))
        say(results["conclusion"])
        say(f"Report: {results['report']}\nModel:  {results['model']}")


def _failure(run: Any, document: Run, url: str) -> str:
    """Which steps of a run failed, why, and where to look."""
    from switchpoint.command.cli import console

    failed = ", ".join(console.title(step) for step in document["steps"] if step["state"] == "failed")
    said = f": {run.error.message}" if run.error and run.error.message else ""
    return (
        f"The run {str(run.state).lower()}{f' in {failed}' if failed else ''}{said}. "
        f"Its logs: {url} (click the step, tab Logs)."
    )
