"""The command `switchpoint`. KFP is imported only by what runs, plans or compiles; TensorFlow by `lineage --verify`."""

from __future__ import annotations

import errno
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from switchpoint.command import kfp_alone
from switchpoint.command import parameters as pipeline_parameters
from switchpoint.command.cli import check as cli_check
from switchpoint.command.cli import cluster as cli_cluster
from switchpoint.command.cli import compare as cli_compare
from switchpoint.command.cli import drift as cli_drift
from switchpoint.command.cli import housekeeping as cli_housekeeping
from switchpoint.command.cli import labels as cli_labels
from switchpoint.command.cli import lineage as cli_lineage
from switchpoint.command.cli import predict as cli_predict
from switchpoint.command.cli import publish as cli_publish
from switchpoint.command.cli import schedules as cli_schedules
from switchpoint.command.cli import show as cli_show
from switchpoint.command.cli import tracking as cli_tracking
from switchpoint.command.cli.flags import (
    INTERRUPTED,
    WHICH_RUN,
    LocalPath,
    about_flags,
    as_json,
    connection_flags,
    file_argument,
    follow_flags,
    given,
    local_flags,
    mlflow_flag,
    package_flags,
    parameter_flags,
    pipeline_root_flag,
    profile_flag,
    recipe_flag,
    resolved,
    runs_dir,
)
from switchpoint.command.paths import expanded
from switchpoint.errors import ParameterError, SwitchpointError

if TYPE_CHECKING:
    from switchpoint.command.documents import About
    from switchpoint.documents.lineage import Parameters

# What write() says, which knows of no file.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


class Commands(click.Group):
    """Turns our errors into a message and an exit code: 2 for wrong arguments, 1 for what failed, 130 for Ctrl-C.

    `check` and `drift` have a 3 of their own.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SwitchpointError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2 if isinstance(error, ParameterError) else 1)
        except OSError as error:  # no permission, no room: the system's words, and which file
            if error.filename is None and error.errno not in NO_ROOM:
                raise
            where = "" if error.filename is None else f"{os.fspath(error.filename)}: "
            click.echo(f"Error: {where}{error.strerror}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="switchpoint")
def main() -> None:
    """After how many epochs of transfer learning should fine-tuning start?"""


def changed(runs_directory: Path, run: str | None, flags: Parameters) -> Parameters:
    """An earlier run's parameters with what the flags change."""
    from switchpoint.command.runs import store as runs

    base = runs.find(runs_directory, run)["parameters"]
    return pipeline_parameters.located(pipeline_parameters.checked(base | given(flags)))


TRACKED = mlflow_flag("Track it in MLflow: http://…, or without an address in a file that `switchpoint ui` shows.")


def execute(
    values: Parameters,
    runs_directory: Path,
    runner: str,
    verify: bool,
    as_json: bool,
    about: About,
    mlflow: str | None,
) -> None:
    """Run, show, and exit 1 when a step failed, 130 when it was interrupted."""
    from rich.console import Console

    kfp_alone.load()
    from switchpoint.command.cli import console
    from switchpoint.command.local.run import run

    # The stream is taken now: kfp's own talk is redirected while the run goes.
    output = Console(file=sys.stderr if as_json else sys.stdout)
    show = console.Show(output, values)
    with show.live():
        document = run(values, runs_directory, show, runner, verify, about, show.planned, mlflow)
    if as_json:
        click.echo(json.dumps(document, indent=1))
    for line in console.failures(document, runs_directory):
        click.echo(f"Error: {line}", err=True)
    if document["state"] == "interrupted":
        click.echo("Interrupted. What has finished is kept: the same command goes on from there.", err=True)
        sys.exit(INTERRUPTED)
    if document["state"] != "succeeded":
        sys.exit(1)
    for line in console.about_photos(document):
        output.print(line, markup=False, highlight=False, soft_wrap=not output.is_terminal)
    console.conclude(output, document)
    if mlflow == "" or (mlflow is None and values["promote"]):
        output.print("MLflow: switchpoint ui")


@main.command()
@file_argument
@recipe_flag
@parameter_flags
@about_flags
@local_flags
@TRACKED
@as_json
def run(
    file: Path | None,
    recipe: str | None,
    runner: str,
    runs_dir: Path,
    verify: bool,
    as_json: bool,
    mlflow: str | None,
    **flags: Any,
) -> None:
    """Run the pipeline on this machine, with what the flags say, or FILE.yaml (`switchpoint init` writes one)."""
    about = said_of_it(flags)
    values = pipeline_parameters.located(resolved(file, recipe, flags))
    execute(values, runs_dir, runner, verify, as_json, about, mlflow)


def said_of_it(flags: Parameters) -> About:
    """Take out of the flags what a person says of the run."""
    name, note = flags.pop("name"), flags.pop("note")
    return {"name": name or "", "note": note or ""}


@main.command()
@click.argument("file", type=LocalPath(dir_okay=False), default="experiment.yaml")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@recipe_flag
@parameter_flags
def init(file: Path, force: bool, recipe: str | None, **flags: Any) -> None:
    """Write FILE (by default experiment.yaml) for `run`, `plan` and `submit`: every parameter, and what it is."""
    from switchpoint.command import configuration
    from switchpoint.command.recipes import DEFAULT

    configuration.init(file, recipe or DEFAULT, given(flags), replace=force)
    click.echo(f"Wrote {file}. Run it with: switchpoint run {shlex.quote(str(file))}")


@main.command()
@click.argument("run", required=False)
@parameter_flags
@about_flags
@local_flags
@TRACKED
@connection_flags
@profile_flag(default=None)
@package_flags
@click.option("--allow-code-change", is_flag=True, help="With --host: use today's code, though steps run again.")
@follow_flags
@as_json
def rerun(
    run: str | None, runner: str, runs_dir: Path, verify: bool, as_json: bool, mlflow: str | None, **flags: Any
) -> None:
    """Run RUN (by default the newest) again with what the flags change; what is not concerned comes from the cache.

    With --host, RUN is the id of a run on Kubeflow Pipelines, and a run there is submitted.
    """
    options = {name: flags.pop(name) for name in cli_cluster.RERUN_OPTIONS}
    if not options["host"]:
        given_options = [name for name, value in options.items() if value and name not in ("token", "cookies")]
        if given_options:
            raise click.UsageError(f"--{given_options[0].replace('_', '-')} goes with --host.")
        about = said_of_it(flags)
        execute(changed(runs_dir, run, flags), runs_dir, runner, verify, as_json, about, mlflow)
        return
    if mlflow is not None:
        raise click.UsageError("--mlflow is for runs of this machine: on a cluster KFP's MLflow plugin tracks.")
    if any(said_of_it(flags).values()):
        raise click.UsageError("--name and --note are for runs of this machine.")
    if not run:
        raise click.UsageError(WHICH_RUN)
    cli_cluster.rerun(run, given(flags), as_json=as_json, **options)


@main.command()
@click.option("--rerun", "again", is_flag=True, help="Plan what `rerun [RUN]` would do.")
@click.argument("which", metavar="[FILE.yaml|RUN]", required=False)
@recipe_flag
@parameter_flags
@local_flags
@connection_flags
@click.option(
    "--device", type=click.Choice(["gpu", "cpu"]), help="With --host: of the images; by default the run's, cpu."
)
@pipeline_root_flag("With --host: where artifacts go, of runs that do not say it.")
@as_json
def plan(
    again: bool,
    which: str | None,
    recipe: str | None,
    runner: str,
    runs_dir: Path,
    verify: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Say for each step whether it is cached or will run, and why. Takes the flags of `run`.

    With --host of a run on Kubeflow Pipelines, as far as the runs there tell; RUN is the id of one.
    """
    options = {name: flags.pop(name) for name in (*cli_cluster.CONNECTION, "device", "pipeline_root")}
    if options["host"]:
        if again and not which:
            raise click.UsageError(WHICH_RUN)
        changes = given(flags) if again else resolved(expanded(which) if which else None, recipe, flags)
        cli_cluster.forecast(which if again else None, changes, as_json=as_json, **options)
        return
    if told := [name for name, value in options.items() if value and name not in ("token", "cookies")]:
        raise click.UsageError(f"--{told[0].replace('_', '-')} goes with --host.")
    file = expanded(which) if which else None
    if file and not again and file.suffix not in (".yaml", ".yml") and not file.exists():
        raise click.UsageError(f"{which} is no file. RUN goes with --rerun.")
    values = changed(runs_dir, which, flags) if again else pipeline_parameters.located(resolved(file, recipe, flags))
    kfp_alone.load()
    from switchpoint.command.cli import console
    from switchpoint.command.local.plan import plan

    steps = plan(values, runs_dir.resolve(), runner, verify)
    if as_json:
        click.echo(json.dumps({"parameters": values, "steps": steps}, indent=1))
        return
    output = console.wide()
    output.print(console.steps_table(steps, values))
    output.print(console.time_needed(steps), highlight=False)


@main.command("runs")
@pipeline_root_flag("With --host: where artifacts go, of runs that do not say it.")
@runs_dir
@connection_flags
@as_json
def list_runs(pipeline_root: str | None, runs_dir: Path, as_json: bool, **connection: Any) -> None:
    """List the runs, newest first; with --host those on Kubeflow Pipelines."""
    from switchpoint.command.cli import console, listing
    from switchpoint.command.runs import housekeeping
    from switchpoint.command.runs import store as runs

    if connection["host"]:
        documents = cli_cluster.runs(connection, pipeline_root, with_steps=as_json)
    else:
        documents = runs.every(runs_dir)
        disk = housekeeping.sizes(runs_dir, documents)
        documents = [{**document, "disk": disk[document["id"]]} for document in documents]
    if as_json:
        click.echo(json.dumps(documents, indent=1))
    else:
        listing.print_runs(console.wide(), documents)


for command in (
    cli_check.check,
    cli_cluster.submit,
    cli_cluster.compile,
    cli_schedules.schedule,
    cli_schedules.list_schedules,
    cli_publish.upload,
    cli_publish.export,
    cli_lineage.lineage,
    cli_lineage.tensorboard,
    cli_tracking.ui,
    cli_tracking.register,
    cli_tracking.promote,
    cli_tracking.rollback,
    cli_show.show,
    cli_show.logs,
    cli_predict.predict,
    cli_compare.compare,
    cli_labels.labels,
    cli_drift.drift,
    cli_housekeeping.rm,
    cli_housekeeping.gc,
    cli_housekeeping.note,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
