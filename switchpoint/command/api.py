"""The command's verbs for programs and notebooks.

import switchpoint
from switchpoint.photos import read

run = switchpoint.run(recipe="demo", switch_epochs=[1, 2])  # says what it does, as the command does
run.curves                                                  # a picture in a notebook; a list of histories
run.results                                                 # a row a training: pandas.DataFrame(run.results)
run.model().predict(read("photo.jpg")[None])
switchpoint.plan(recipe="demo", switch_epochs=[1, 2, 4])
switchpoint.runs()

Parameters have the names of the flags with underscores, and their checks. What Jupyter shows of a run, a plan or a list
of runs is the table that the command prints.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.jupyter import JupyterMixin
from rich.text import Text

from switchpoint.command import configuration, kfp_alone, parameters
from switchpoint.command.cli import console, listing
from switchpoint.command.documents import Step
from switchpoint.command.errors import ArtifactGoneError, NoModelError, RunFailedError
from switchpoint.command.local import packages
from switchpoint.command.paths import expanded
from switchpoint.command.runs import housekeeping, store
from switchpoint.command.runs.curves import Curves, curves
from switchpoint.errors import SwitchpointError
from switchpoint.provenance import digests

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import keras

    from switchpoint.command.documents import About
    from switchpoint.command.documents import Run as Document
    from switchpoint.documents.lineage import Parameters
    from switchpoint.documents.results import Eliminated, Result, StartResult

    PathLike = str | os.PathLike[str]

RUNS = "runs"  # the command's default, too
_imported: dict[str, str] = {}  # digests of the steps' code when this process first used it


class Run(JupyterMixin):
    """A run of this machine."""

    def __init__(self, document: Document, runs_dir: Path) -> None:
        """A run as its document says; `run` and `runs` make these."""
        self.document, self.runs_dir = document, runs_dir

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.state}>"

    def __rich_console__(self, _: Console, __: ConsoleOptions) -> Iterator[RenderableType]:
        yield Text(f"Run {self.id}: {self.state}")
        if "conclusion" in self.document:
            yield console.outcome(self.document)
            yield Text(self.document["conclusion"])

    @property
    def id(self) -> str:
        """As `switchpoint show` takes it."""
        return self.document["id"]

    @property
    def state(self) -> str:
        """Running, succeeded, failed or interrupted."""
        return self.document["state"]

    @property
    def parameters(self) -> Parameters:
        """All of them, by name."""
        return self.document["parameters"]

    @property
    def results(self) -> list[Result | Eliminated]:
        """A row a training, as `switchpoint runs --json` has it; empty unless the run succeeded."""
        return self.document["results"]

    @property
    def starts(self) -> list[StartResult]:
        """A row a start: means over its seeds, and the gain over transfer learning alone with its interval."""
        return self.document.get("starts", [])

    @property
    def conclusion(self) -> str:
        """What the run came to, in words; empty unless it succeeded."""
        return self.document.get("conclusion", "")

    @property
    def report(self) -> Path:
        """The report's page.

        Raises:
            ArtifactGoneError: There is none.
        """
        return self._found("report")

    @property
    def curves(self) -> Curves:
        """Accuracy and loss of each training, epoch by epoch: data, and in a notebook a picture.

        Raises:
            ArtifactGoneError: A history is no longer there.
        """
        return curves(self.document)

    def model(self) -> keras.Model:
        """The best model: uint8 RGB photos (batch, height, width, 3) of any size to probabilities (batch, classes).

        Ask it by `predict`: called as a function, a Keras model keeps uint8 where training had fractions.

        Raises:
            NoModelError: The run did not succeed.
            ArtifactGoneError: The model is no longer there.
        """
        if not self.document.get("model"):
            raise NoModelError(f"Run {self.id} {self.state}: only a run that succeeded has a best model.")
        path = self._found("model")
        import keras

        return keras.models.load_model(path, compile=False)

    def rerun(self, mlflow: str | None = None, **changes: Any) -> Run:
        """Run it again with what `changes` says; what is not concerned comes from the cache. `mlflow` is as of `run`.

        Raises:
            ParameterError: A value that can't be right; nothing was started.
            RunFailedError: A step failed.
        """
        values = parameters.located(parameters.checked(self.parameters | changes))
        return _run(values, self.runs_dir, self.document.get("runner", "subprocess"), False, {}, mlflow)

    def _found(self, what: str) -> Path:
        given: Any = self.document.get(what)
        if not given or not Path(given).is_file():
            raise ArtifactGoneError(f"Run {self.id} {self.state}, and its {what} is not there: {given}.")
        return Path(given)


class Runs(JupyterMixin, list[Run]):
    """Runs, newest first."""

    def __rich_console__(self, _: Console, __: ConsoleOptions) -> Iterator[RenderableType]:
        yield listing.runs_table([run.document for run in self])


class Plan(JupyterMixin, list[Step]):
    """Steps, each `cached` or `will run`, why, and about how long it takes."""

    def __init__(self, steps: Iterable[Step], parameters: Parameters) -> None:
        """Steps of a run with these parameters; `plan` makes these."""
        super().__init__(steps)
        self.parameters = parameters

    def __repr__(self) -> str:
        return f"<Plan: {sum(step['state'] == 'will run' for step in self)} of {len(self)} steps will run>"

    def __rich_console__(self, _: Console, __: ConsoleOptions) -> Iterator[RenderableType]:
        yield console.steps_table(self, self.parameters)
        yield Text(console.time_needed(self))


def run(
    file: PathLike | None = None,
    /,
    *,
    recipe: str | None = None,
    runs_dir: PathLike = RUNS,
    runner: str = "subprocess",
    verify: bool = False,
    name: str = "",
    note: str = "",
    mlflow: str | None = None,
    **values: Any,
) -> Run:
    """Run the pipeline on this machine, and say on standard output what it does.

    Args:
        file: An experiment's, as `switchpoint init` writes it.
        recipe: Numbers to start from; by default the file's, or better.
        runs_dir: Where runs are kept.
        runner: How each step runs: `subprocess`, or `docker` for a container of its image.
        verify: Read all that is cached, also where sizes and times say that nothing changed.
        name: What to call the run, here and at the command line.
        note: What a person should know of it.
        mlflow: Address of the MLflow that it is tracked in; empty: a file below `runs_dir`; None: nowhere.
        **values: Parameters of the pipeline, such as dataset="~/photos", switch_epochs=[1, 2, 4]: those of
            `switchpoint run --help`. They win over the file, and the file over the recipe.

    Returns:
        The run, which succeeded.

    Raises:
        ParameterError: A value that can't be right; nothing was started.
        TrackingError: MLflow can't be reached; nothing was started.
        RunFailedError: A step failed.
        KeyboardInterrupt: It was interrupted. The same call goes on from there.
    """
    about: About = {"name": name, "note": note}
    return _run(_resolved(file, recipe, values), expanded(runs_dir), runner, verify, about, mlflow)


def plan(
    file: PathLike | None = None,
    /,
    *,
    recipe: str | None = None,
    runs_dir: PathLike = RUNS,
    runner: str = "subprocess",
    verify: bool = False,
    **values: Any,
) -> Plan:
    """Say for each step whether it is cached or would run, and why. Takes what `run` takes; runs nothing.

    Raises:
        ParameterError: A value that can't be right.
    """
    found = _resolved(file, recipe, values)
    _fresh()
    from switchpoint.command.local import plan as planning

    steps = planning.plan(found, expanded(runs_dir).resolve(), runner, verify)
    return Plan(steps, found)


def runs(runs_dir: PathLike = RUNS) -> Runs:
    """The runs of this machine, newest first.

    Args:
        runs_dir: Where they are kept.
    """
    place = expanded(runs_dir)
    documents = store.every(place)
    disk = housekeeping.sizes(place, documents)
    return Runs(Run({**document, "disk": disk[document["id"]]}, place) for document in documents)


def show(run: str | None = None, runs_dir: PathLike = RUNS) -> Run:
    """One run.

    Args:
        run: Its id, the start of it, or its name; by default the newest.
        runs_dir: Where runs are kept.

    Raises:
        RunNotFoundError: There is none, or more than one.
    """
    place = expanded(runs_dir)
    return Run(store.find(place, run), place)


def _resolved(file: PathLike | None, recipe: str | None, values: Parameters) -> Parameters:
    return parameters.located(configuration.resolve(expanded(file) if file else None, recipe, values))


def _run(values: Parameters, runs_dir: Path, runner: str, verify: bool, about: About, mlflow: str | None) -> Run:
    _fresh()
    from switchpoint.command.local import run as running

    # The stream is taken now, for kfp's own talk is redirected. Jupyter's takes lines: it is no terminal, though its
    # kernel says so ($FORCE_COLOR), and rich would make of each line a page of HTML.
    output = Console(file=sys.stdout, force_jupyter=False, force_terminal=sys.stdout.isatty())
    show = console.Show(output, values)
    with show.live():
        document = running.run(values, runs_dir, show, runner, verify, about, show.planned, mlflow)
    if document["state"] == "interrupted":
        raise KeyboardInterrupt("What has finished is kept: the same call goes on from there.")
    if document["state"] != "succeeded":
        raise RunFailedError("\n".join(console.failures(document, runs_dir)))
    for line in console.about_photos(document):
        output.print(line, markup=False, highlight=False, soft_wrap=True)
    return Run(document, runs_dir)


def _fresh() -> None:
    """Refuse to go on where the project's code is not what this process imported: the cache would be told lies."""
    digests.code_digest.cache_clear()
    packages.digest.cache_clear()
    now = {step: digests.code_digest(step) for step in digests.STEPS}
    if now != (_imported or now):
        changed = ", ".join(step for step in now if now[step] != _imported[step])
        raise SwitchpointError(
            f"The code of {changed} was edited since this process imported it. Start Python anew (in a notebook: "
            "restart the kernel)."
        )
    _imported.update(now)
    kfp_alone.load()
