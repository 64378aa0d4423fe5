"""The commands that reach beyond this machine: to Kubeflow Pipelines, and to a bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from switchpoint.command import kfp_alone
from switchpoint.command import parameters as pipeline_parameters
from switchpoint.command.cli.flags import (
    Command,
    LocalPath,
    as_json,
    connection_flags,
    file_argument,
    follow_flags,
    package_flags,
    parameter_flags,
    pipeline_root_flag,
    profile_flag,
    recipe_flag,
    resolved,
)
from switchpoint.command.cli.following import finish

if TYPE_CHECKING:
    from pathlib import Path

    from switchpoint.command.documents import Run
    from switchpoint.documents.lineage import Parameters

CONNECTION = ("host", "namespace", "token", "token_file", "cookies", "ca_cert")
RERUN_OPTIONS = (*CONNECTION, "profile", "registry", "device", "resume", "allow_code_change", "wait", "timeout")


class Ready(NamedTuple):
    """What is sent to a cluster: all parameters, the package, and what KFP is told beside them."""

    values: Parameters
    package: str
    beside: dict[str, Any]


def submission_flags(command: Command) -> Command:
    """What a run on Kubeflow Pipelines is started with, as keywords of `ready`."""
    for option in (
        click.option(
            "--service-account", help="What the run's pods run as, such as switchpoint-runner (k8s/README.md)."
        ),
        click.option(
            "--read-contents",
            is_flag=True,
            help="Of a dataset on a volume (pvc://…) the run takes the contents' digest, not that of sizes and times.",
        ),
        pipeline_root_flag("Where artifacts go; by default what the cluster is set to."),
        click.option(
            "--experiment", default="switchpoint", show_default=True, help="What the UI groups the run under."
        ),
        package_flags,
        profile_flag(),
        connection_flags,
        parameter_flags,
        recipe_flag,
        file_argument,
    ):
        command = option(command)
    return command


def ready(
    file: Path | None,
    recipe: str | None,
    profile: str,
    registry: str | None,
    device: str | None,
    resume: str | None,
    experiment: str,
    pipeline_root: str | None,
    service_account: str | None,
    read_contents: bool,
    recurring: bool = False,
    **flags: Any,
) -> Ready:
    """Check what `submission_flags` say, and compile; for recurring runs with all of it inside."""
    values = resolved(file, recipe, flags)
    from components.digest.step import CONTENTS, shape
    from switchpoint.command import profiles
    from switchpoint.command.cluster import submission
    from switchpoint.command.compilation import package
    from switchpoint.command.runs import store

    if read_contents:
        values["dataset_digest"] = CONTENTS
    loaded = profiles.load(profile)
    submission.check_visible(values, pipeline_root, loaded)
    submission.check_names(experiment, service_account)
    if pipeline_root:
        resume = resume or loaded.resume or f"{pipeline_root.rstrip('/')}/resume"
    uses = pipeline_root or "", values["dataset"], values["weights"], values["drift"]
    defaults = (values, pipeline_root) if recurring else ()
    text = package(loaded, registry, device, resume, uses, shape(values), *defaults)
    beside = {
        "profile": loaded.name,
        "commit": store.commit(),
        "experiment": experiment,
        "pipeline_root": pipeline_root,
        "service_account": service_account,
    }
    return Ready(values, text, beside)


@click.command()
@submission_flags
@follow_flags
@as_json
def submit(wait: bool, timeout: float | None, as_json: bool, **flags: Any) -> None:
    """Run the pipeline on Kubeflow Pipelines, with what the flags say, or FILE.yaml."""
    connection = {name: flags.pop(name) for name in CONNECTION}
    sent = ready(**flags)
    from switchpoint.command.cluster import submission
    from switchpoint.command.cluster.client import Cluster

    kubeflow = Cluster(**connection)
    started = submission.submit(kubeflow, sent.values, sent.package, **sent.beside)
    finish(kubeflow, started, wait, timeout, as_json, sent.beside["pipeline_root"])


@click.command()
@profile_flag()
@package_flags
@click.option(
    "--uses",
    multiple=True,
    metavar="ADDRESS",
    help="A dataset, weights or root of its runs, such as minio://mlpipeline or pvc://photos: their pods reach it. "
    "May be given several times.",
)
@click.option(
    "--search",
    type=click.Choice(pipeline_parameters.parameters()["search"].choices),
    default="sweep",
    show_default=True,
    help="That its runs ask for: the steps of a search are others.",
)
@click.option("--drifts", is_flag=True, help="Its runs say `drift`: it has that step.")
@click.option("--promotes", is_flag=True, help="Its runs say `promote`: it ends with that step.")
@click.option(
    "--output", type=LocalPath(dir_okay=False, writable=True), default="build/switchpoint.yaml", show_default=True
)
def compile(
    profile: str,
    registry: str | None,
    device: str | None,
    resume: str | None,
    uses: tuple[str, ...],
    search: str,
    drifts: bool,
    promotes: bool,
    output: Path,
) -> None:
    """Compile the pipeline to KFP's YAML."""
    kfp_alone.load()
    from components.digest.step import shape
    from switchpoint.command import profiles
    from switchpoint.command.compilation import compile_pipeline

    asked = shape({"search": search, "drift": drifts, "promote": promotes})
    compile_pipeline(output, profiles.load(profile), registry, device, resume, uses, asked)
    click.echo(f"Compiled to {output}.")


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
    run = kubeflow.find(run_id)
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


def runs(connection: dict[str, Any], pipeline_root: str | None, with_steps: bool) -> list[Run]:
    """The cluster's runs as documents."""
    from switchpoint.command.cluster import client, overview

    return overview.documents_of(client.Cluster(**connection), pipeline_root, with_steps)


def forecast(
    run_id: str | None,
    values: Parameters,
    *,
    device: str | None,
    pipeline_root: str | None,
    as_json: bool,
    **connection: Any,
) -> None:
    """Say what a run on the cluster would do: of a run there with other values, or of all parameters."""
    from switchpoint.command import forecast as forecasts
    from switchpoint.command.cli import console
    from switchpoint.command.cluster.client import Cluster

    kubeflow = Cluster(**connection)
    found = (
        forecasts.again(kubeflow, kubeflow.find(run_id), values, device)
        if run_id
        else forecasts.forecast(kubeflow, values, device or "cpu", pipeline_root)
    )
    if as_json:
        click.echo(json.dumps(found._asdict(), indent=1))
        return
    output = console.wide()
    output.print(console.steps_table(found.steps, found.parameters))
    for note in found.notes:
        output.print(note, markup=False, highlight=False, soft_wrap=True)
