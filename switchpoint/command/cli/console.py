"""What a person sees of a run on the terminal."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.progress import Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from components.report.wording import repeated
from switchpoint import progress
from switchpoint.command.check import left, of_manifest, summary
from switchpoint.command.cli import quantities
from switchpoint.command.runs.steps import RATES, Loops, several
from switchpoint.data.manifest import MANIFEST

if TYPE_CHECKING:
    from switchpoint.command.documents import Run, Step
    from switchpoint.documents.results import Best, Gain, StartResult


def title(step: Step, loops: Loops) -> str:
    """A step's name, its switch epoch and rung if it has any, its learning rate and seed where the run has several."""
    name = step["name"] if step["switch_epoch"] is None else f"{step['name']} {step['switch_epoch']}"
    if step["learning_rate"] is not None and several(loops, RATES):
        name += f" at {step['learning_rate']:g}"
    if rung := step.get("rung"):
        name += f", rung {rung}"
    return name + f", seed {step['seed']}" * (step["seed"] is not None and several(loops, "seeds"))


def label(step: Step, loops: Loops) -> str:
    """The same as wide as a column of them."""
    return f"{title(step, loops):<{width(loops)}}"


def width(loops: Loops) -> int:
    """Of a column of steps' names, in characters."""
    parts = {
        " at 0.0003": several(loops, RATES),
        ", rung 1": loops.get("search") == "halving",
        ", seed 10": several(loops, "seeds"),
    }
    return 14 + sum(len(part) for part, there in parts.items() if there)


def words(step: Step, digits: int = 1) -> str:
    """What became of a step, or why it waits."""
    if step["state"] == "ran":
        return f"done in {step['seconds'] or 0:.{digits}f} s"
    return f"waiting: {step['why']}" if step["state"] == "waiting" else step["state"]


def wide() -> Console:
    """Standard output; where it is no terminal, lines are as long as they are, for programs read them."""
    output = Console()
    if not output.is_terminal:
        output.width = WIDE
    return output


WIDE = 10_000  # columns
BLOCKS = "▁▂▃▄▅▆▇█"
CURVED = "val_accuracy"  # what of an epoch is drawn as a curve
CURVE = 14  # epochs that are shown at once


def sparkline(values: list[float]) -> str:
    """The last values as a curve of blocks, the smallest lowest."""
    shown = values[-CURVE:]
    low, high = min(shown, default=0.0), max(shown, default=0.0)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in shown)


class _Said(ProgressColumn):
    """What a step said last."""

    def render(self, task: Task) -> _Fitting:
        return _Fitting(task.fields["said"])


class _Fitting:
    """Texts side by side, as many whole ones as the terminal is wide: a number that is cut is another number."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, max(1, len("  ".join(self.texts))))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        beginnings = ("  ".join(self.texts[:count]) for count in range(len(self.texts), 0, -1))
        fitting = (text for text in beginnings if len(text) <= options.max_width)
        yield Text(next(fitting, ""), no_wrap=True)


class Show:
    """Shows a run as it goes: a line that changes for each running step on a terminal, a line an epoch elsewhere."""

    def __init__(self, console: Console, loops: Loops) -> None:
        self.console, self.loops = console, loops
        self.progress = Progress(
            TextColumn(f"{{task.description:<{width(loops)}}}"), TimeElapsedColumn(Column(no_wrap=True)),
            _Said(Column()), console=console, transient=True,
        )  # fmt: skip
        self.bars: dict[int, TaskID] = {}
        self.curves: dict[int, list[float]] = {}  # of each running step, the validation accuracy so far

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """While the run goes: lines that change, if this is a terminal."""
        with self.progress if self.console.is_terminal else contextlib.nullcontext():
            yield

    def planned(self, steps: list[Step]) -> None:
        """A run that takes long says so before it starts."""
        if text := long_ahead(steps):
            self._say(text)

    def started(self, step: Step) -> None:
        """A step runs from now on."""
        self._say(f"{self._name(step)} runs: {step['why']}")
        if self.console.is_terminal:
            self.bars[id(step)] = self.progress.add_task(title(step, self.loops), total=None, said=[])

    def line(self, step: Step, text: str) -> None:
        """A step printed a line: those that it says through `switchpoint.progress` are shown."""
        said = progress.read(text)
        if said is None:
            return
        if isinstance(said, str) or not self.console.is_terminal:
            self._say(f"{self._name(step)} {said if isinstance(said, str) else said.text}")
            return
        curve = self.curves.setdefault(id(step), [])
        if CURVED in said.measured:
            curve.append(said.measured[CURVED])
        # What matters most comes first: a narrow terminal shows no more.
        order = sorted(said.measured, key=lambda name: name != CURVED)
        measured = [f"{name} {said.measured[name]:.3f}" for name in order]
        texts = [f"{said.unit} {said.done}/{said.total}", *([sparkline(curve)] if curve else []), *measured[:1]]
        texts += [f"{said.seconds_left} s left", *measured[1:]]
        self.progress.update(self.bars[id(step)], said=texts)

    def said(self, text: str) -> None:
        """Something of the run that is no step's."""
        self._say(text)

    def ended(self, step: Step) -> None:
        """A step has its final state."""
        said = words(step)
        if id(step) in self.bars:
            self.progress.remove_task(self.bars.pop(id(step)))
        if curve := self.curves.pop(id(step), None):
            said += f"  {sparkline(curve)}  best val_accuracy {max(curve):.3f}"
        self._say(f"{self._name(step)} {said}")
        if step["name"] == "prepare" and (records := step.get("outputs", {}).get("records")):
            for line in of_records(records):
                self._say(f"{self._name(step)} {line}")

    def _name(self, step: Step) -> str:
        return label(step, self.loops)

    def _say(self, text: str) -> None:
        # No markup and no wrapping: a class name or a path is data.
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def of_records(records: str) -> list[str]:
    """What `check` says of the photos in records of this machine, in short; nothing of those that can't be read."""
    try:
        manifest = json.loads((Path(records) / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    dropped = len(manifest["dropped"])
    return summary(of_manifest(manifest)) + [f"{dropped:,} copies were dropped (--leaks drop)"] * bool(dropped)


def steps_table(steps: list[Step], loops: Loops) -> Table:
    """Steps with their state, the reason for it and about how long they take, each by itself."""
    table = Table("step", "state", "why", "about")
    for step in steps:
        about = quantities.lasting(step["expected"]) if "expected" in step else ""
        name = title(step, loops) + (f", at most {step['at_most']}" if "at_most" in step else "")
        table.add_row(name, step["state"], Text(step["why"]), about)  # it may name files
    return table


LONG = 600  # seconds


def time_needed(steps: list[Step]) -> str:
    """About how long a plan takes, and how that is known; empty where nothing is."""
    running = [step for step in steps if step["state"] == "will run"]
    times = [step["expected"] for step in running if "expected" in step]
    if not times:
        return "" if running else "Nothing will run."
    if all(step["expected_by"] == "earlier runs" for step in running):
        return f"It takes about {quantities.lasting(sum(times))}, as earlier runs did here."
    return (
        f"It takes about {quantities.lasting(sum(times))} on this machine's cores, by rates that were measured with "
        "EfficientNet-Lite0 (no earlier run here is like it): a larger backbone takes longer, a GPU less."
    )


def long_ahead(steps: list[Step]) -> str:
    """What a person should know before a run that takes long; empty where it does not."""
    if sum(step.get("expected", 0.0) for step in steps) < LONG:
        return ""
    return f"{time_needed(steps)} A smaller --image-size or fewer --switch-epochs take less; what is done stays done."


def about_photos(document: Run) -> list[str]:
    """What a person should know of the photos: those left out, and those that are there more than once."""
    said = []
    if left_out := document.get("left_out"):
        said.append(f"{len(left_out)} photos were left out; prepare's log and look.html name them.")
    dropped = document.get("dropped", [])
    if dropped:
        said.append(f"{len(dropped)} copies were dropped; prepare's log and look.html name them.")
    counts = Counter(same["kind"] for same in left(document.get("duplicates", []), dropped))
    if still := repeated(counts):
        said.append(f"The same photo more than once: {still}; look.html names them.")
    return said + [f"{note}." for note in document.get("notes", [])]


def start(switch_epoch: int | None, learning_rate: float | None = None) -> str:
    """A start in a table, with its learning rate where that is to be told."""
    name = "transfer alone" if switch_epoch is None else f"epoch {switch_epoch}"
    return name if learning_rate is None else f"{name} at {learning_rate:g}"


def results_table(starts: list[StartResult], best: Best | None = None, rates: bool = False) -> Table:
    """A row for transfer learning alone and one for each switch epoch, means over the seeds.

    Args:
        starts: The rows.
        best: The training whose model is kept: its start is marked.
        rates: Whether several learning rates were tried, so that each start's is told.
    """
    table = Table()
    table.add_column("fine-tuning from", no_wrap=not rates)
    for name in ("validation accuracy", "test accuracy", "gain in points", "test loss", "seconds"):
        table.add_column(name, justify="right")
    for row in starts:
        chosen = best is not None and best["switch_epoch"] == row["switch_epoch"]
        table.add_row(
            start(row["switch_epoch"], row["learning_rate"] if rates else None)
            + ", chosen" * chosen
            + ", diverged" * bool(row["diverged"]),
            f"{row['validation_accuracy']:.1%}",
            f"{row['test_accuracy']:.1%}",
            gained(row.get("gain")),
            f"{row['test_loss']:.3f}",
            f"{row['seconds']:.0f}",
        )
    return table


def outcome(found: Mapping[str, Any]) -> Table:
    """What a run came to, as a table of its starts."""
    tried = {row["learning_rate"] for row in found["results"] if row["learning_rate"]}
    return results_table(found["starts"], found.get("best"), len(tried) > 1)


def gained(gain: Gain | None) -> str:
    """A gain with its interval in a table: `+2.1 [+0.3, +3.9]`."""
    return "" if gain is None else "{points:+.1f} [{low:+.1f}, {high:+.1f}]".format(**gain)


def failures(document: Run, runs_directory: Path) -> list[str]:
    """Of a run of this machine, why each step failed, and its log."""
    place = runs_directory / document["id"]
    return [
        f"{title(step, document['parameters'])} failed: {step.get('error')}\nIts log: {place / (step['log'] or '')}"
        for step in document["steps"]
        if step["state"] == "failed"
    ]


def conclude(output: Console, found: Mapping[str, Any]) -> None:
    """What a run came to: table, conclusion, where the report and the model are."""
    output.print(outcome(found))
    # On a terminal between words; in a file it stays one line.
    output.print(found["conclusion"], markup=False, highlight=False, soft_wrap=not output.is_terminal)
    for said in (found[each]["sentence"] for each in ("promotion", "drift") if each in found):
        output.print(said, markup=False, highlight=False, soft_wrap=not output.is_terminal)
    output.print(f"Report: {found['report']}\nModel:  {found['model']}", markup=False, highlight=False, soft_wrap=True)
