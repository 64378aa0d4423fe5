"""The flags that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from switchpoint import addresses
from switchpoint.command import parameters as pipeline_parameters
from switchpoint.command.paths import expanded
from switchpoint.command.recipes import DEFAULT, RECIPES
from switchpoint.errors import ParameterError

if TYPE_CHECKING:
    from switchpoint.documents.lineage import Parameters

Command = Callable[..., Any]


class ParameterType(click.ParamType[Any]):
    """A flag that stands for a parameter of the pipeline."""

    def __init__(self, name: str) -> None:
        self.parameter = pipeline_parameters.parameters()[name]
        self.name = {"str": "text", "list": "epochs"}.get(self.parameter.kind.__name__, self.parameter.kind.__name__)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The flag's text as the parameter's value."""
        if not isinstance(value, str):
            return value
        try:
            return pipeline_parameters.parse(self.parameter.name, value, f"--{self.parameter.name.replace('_', '-')}")
        except ParameterError as error:
            self.fail(str(error), param, ctx)


class Address(click.ParamType[str]):
    """A bucket or a path: what has another scheme would be taken for a path."""

    name = "address"

    def __init__(self, local: bool = True) -> None:
        """A path of this machine is one too, if `local`."""
        self.local = local

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address; `~`, which a shell leaves in --flag=~/name, is the home directory."""
        if why := addresses.unsupported(value):
            self.fail(why, param, ctx)
        if addresses.is_remote(value):
            return str(value)
        if not self.local:
            self.fail(f"{value!r} is no address in a bucket. Give {addresses.BUCKET}.", param, ctx)
        return str(expanded(value))


class States(Address):
    """Where a cluster keeps the states of trainings, or that it keeps none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address; a path is one in a pod."""
        from switchpoint.command.profiles import keeps_or_none

        address = super().convert(value, param, ctx)
        if not keeps_or_none(address):
            self.fail(f"{value!r} is no place of a cluster. Give {addresses.BUCKET}, an absolute path, or none.")
        return address


class LocalPath(click.Path):
    """A path of this machine; `~`, which a shell leaves in --flag=~/name, is the home directory."""

    def __init__(self, **checks: bool) -> None:
        """Takes what click.Path takes."""
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, if it is one."""
        text = str(value)
        if addresses.is_remote(text) or addresses.unsupported(text):
            self.fail(f"{text!r} is an address. Give a path of this machine.", param, ctx)
        return super().convert(expanded(text), param, ctx)


def parameter_flags(command: Command) -> Command:
    """A flag for each parameter of the pipeline, in the signature's order."""
    for name, parameter in reversed(pipeline_parameters.parameters().items()):
        if name not in pipeline_parameters.DIGESTS:
            flag = f"--{name.replace('_', '-')}"
            command = click.option(flag, name, type=ParameterType(name), help=parameter.help)(command)
    return command


def recipe_flag(command: Command) -> Command:
    """The recipe whose numbers hold where neither a flag nor a file says otherwise."""
    said = f"Numbers to start from; by default the file's, or {DEFAULT}."
    return click.option("--recipe", type=click.Choice(list(RECIPES)), help=said)(command)


def resolved(file: Path | None, recipe: str | None, flags: Parameters) -> Parameters:
    """Every parameter's value, checked: flags win over the file, the file over the recipe."""
    from switchpoint.command import configuration

    return configuration.resolve(file, recipe, given(flags))


file_argument = click.argument("file", metavar="[FILE.yaml]", required=False, type=LocalPath())


runs_dir = click.option(
    "--runs-dir", type=LocalPath(file_okay=False), default="runs", show_default=True, help="Where runs are kept."
)
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, all else on stderr.")


def local_flags(command: Command) -> Command:
    """How a run goes on this machine."""
    for option in (
        click.option(
            "--verify", is_flag=True, help="Read all that is cached, also where sizes and times say nothing changed."
        ),
        runs_dir,
        click.option(
            "--runner",
            type=click.Choice(["subprocess", "docker"]),
            default="subprocess",
            show_default=True,
            help="How each step runs: a process, or a container of its image.",
        ),
    ):
        command = option(command)
    return command


def mlflow_flag(said: str) -> Callable[[Command], Command]:
    """Where MLflow is; without an address it is a file below the runs' directory."""
    return click.option("--mlflow", metavar="[URI]", is_flag=False, flag_value="", help=said)


class Line(click.ParamType[str]):
    """A text of one line, as a name is."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text without space around it."""
        text = str(value).strip()
        if len(text) > LONGEST or not text.isprintable():
            self.fail(f"{value!r}: give one line of up to {LONGEST} characters.", param, ctx)
        return text


LONGEST = 100


def about_flags(command: Command) -> Command:
    """What a person says of a run."""
    for option in (
        click.option("--note", metavar="TEXT", help="What you want to know of the run later."),
        click.option("--name", type=Line(), help="What the run is called, wherever a RUN is asked for."),
    ):
        command = option(command)
    return command


def given(flags: Parameters) -> Parameters:
    """The flags that were given, by the parameters' names."""
    return {name: value for name, value in flags.items() if value is not None}


def connection_flags(command: Command) -> Command:
    """How to reach a Kubeflow Pipelines and who asks, as keywords of `cluster.Cluster`."""
    for option in (
        click.option(
            "--ca-cert",
            type=LocalPath(exists=True, dir_okay=False),
            help="Authority of the host's certificate.",
        ),
        click.option(
            "--cookies", envvar="SWITCHPOINT_COOKIES", help="Such as authservice_session=…; or $SWITCHPOINT_COOKIES."
        ),
        click.option("--token-file", type=LocalPath(), help="The token from a file, read anew for each request."),
        click.option(
            "--token",
            envvar="SWITCHPOINT_TOKEN",
            help="Bearer token; or $SWITCHPOINT_TOKEN, which other users of the machine can't see.",
        ),
        click.option("--namespace", help="Your profile's namespace, on a multi-user Kubeflow."),
        click.option(
            "--host", help="Kubeflow Pipelines' address. Without one kfp asks the pod it runs in, then kubeconfig."
        ),
    ):
        command = option(command)
    return command


def pipeline_root_flag(said: str) -> Callable[[Command], Command]:
    """Where a cluster keeps artifacts."""
    return click.option("--pipeline-root", type=Address(local=False), metavar="gs://…|s3://…", help=said)


READ_FROM = "With --host: where artifacts go, if the run does not say it."
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
WHICH_RUN = "With --host give the id of a run, or its start; `switchpoint runs --host …` lists them."


def no_host(why: str) -> Callable[[Command], Command]:
    """For a command that knows runs of this machine alone: --host is refused with the reason."""

    def refuse(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is not None:
            raise click.UsageError(why)

    return click.option("--host", hidden=True, expose_value=False, callback=refuse)


def package_flags(command: Command) -> Command:
    """What the compiled pipeline holds besides the code."""
    for option in (
        click.option(
            "--device",
            type=click.Choice(["gpu", "cpu"]),
            help="Images to use; by default what the profile asks for, or $SWITCHPOINT_DEVICE.",
        ),
        click.option(
            "--resume",
            type=States(),
            metavar="gs://…|s3://…|PATH|none",
            help="Where trainings keep the state that a killed one goes on from, or `none`; by default what the "
            "profile says, or below --pipeline-root.",
        ),
        click.option("--registry", help="Where the images were pushed; by default $SWITCHPOINT_REGISTRY, or none."),
    ):
        command = option(command)
    return command


def follow_flags(command: Command) -> Command:
    """Whether and how long to stay with a run."""
    for option in (
        click.option(
            "--timeout", type=float, metavar="SECONDS", help="With --wait: give up after so long; the run goes on."
        ),
        click.option(
            "--wait",
            is_flag=True,
            help="Show the steps until the run ends, then its results; exit 1 unless it succeeded.",
        ),
    ):
        command = option(command)
    return command


def profile_flag(default: str | None = "cpu") -> Callable[[Command], Command]:
    """Where the steps run."""
    return click.option(
        "--profile", default=default, show_default=default is not None, metavar="NAME|FILE",
        help="Where each step runs: cpu, nvidia, gke-l4, gke-a100-spot, eks, openshift, or a YAML file.",
    )  # fmt: skip
