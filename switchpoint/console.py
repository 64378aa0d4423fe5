"""What a person sees of a run on the terminal."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from switchpoint.planning import Step


def title(step: Step) -> str:
    """A step's name, with its switch epoch when it has one."""
    return step["name"] if step["switch_epoch"] is None else f"{step['name']} {step['switch_epoch']}"


BLOCKS = "▁▂▃▄▅▆▇█"
CURVE = 14  # epochs that are shown at once


def sparkline(values: list[float]) -> str:
    """The last values as a curve of blocks, the smallest lowest."""
    shown = values[-CURVE:]
    low, high = min(shown, default=0.0), max(shown, default=0.0)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in shown)


class Show:
    """Shows a run as it goes: a bar a running step on a terminal, a line an epoch elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[line]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self.bars: dict[int, TaskID] = {}
        self.curves: dict[int, list[float]] = {}  # of each running step, the validation accuracy so far

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """While the run goes: bars, if this is a terminal."""
        with self.progress if self.console.is_terminal else contextlib.nullcontext():
            yield

    def started(self, step: Step) -> None:
        """A step runs from now on."""
        self._say(f"{title(step):<14} runs: {step['why']}")
        if self.console.is_terminal:
            self.bars[id(step)] = self.progress.add_task(title(step), total=None, line="")

    def line(self, step: Step, text: str) -> None:
        """A step printed a line: those that begin with its name say how far it is."""
        if not text.startswith(f"{step['name']} "):
            return
        text = re.sub(r"^\w+( \d+)?  +", "", text)
        if not self.console.is_terminal:
            self._say(f"{title(step):<14} {text}")
        elif found := re.search(r"(\d+)/(\d+)", text):
            short = re.sub(r"^.*?\d+/\d+ *", "", text)
            if measured := re.search(r"val_accuracy ([\d.]+) *", short):
                curve = self.curves.setdefault(id(step), [])
                curve.append(float(measured[1]))
                # First what matters most: a narrow terminal cuts the end off.
                left = short[measured.end() :]
                short = f"{sparkline(curve)} val_accuracy {measured[1]}  {left}  {short[: measured.start()].rstrip()}"
            self.progress.update(self.bars[id(step)], completed=int(found[1]), total=int(found[2]), line=short)

    def ended(self, step: Step) -> None:
        """A step has its final state."""
        if id(step) in self.bars:
            self.progress.remove_task(self.bars.pop(id(step)))
            self.curves.pop(id(step), None)
        words = {"cached": "cached", "ran": f"done in {step['seconds']:.1f} s", "failed": "failed"}
        self._say(f"{title(step):<14} {words[step['state']]}")

    def _say(self, text: str) -> None:
        # No markup and no wrapping: a class name or a path is data.
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def steps_table(steps: list[Step]) -> Table:
    """Steps with their state and the reason for it."""
    table = Table("step", "state", "why")
    for step in steps:
        table.add_row(title(step), step["state"], step["why"])
    return table


def results_table(results: list[dict[str, Any]]) -> Table:
    """A row for transfer learning alone and one for each switch epoch."""
    table = Table()
    table.add_column("fine-tuning from", no_wrap=True)
    for name in ("best epoch", "validation accuracy", "test accuracy", "test loss", "seconds"):
        table.add_column(name, justify="right")
    for row in results:
        start = "transfer alone" if row["switch_epoch"] is None else f"epoch {row['switch_epoch']}"
        table.add_row(
            start + (", diverged" if row["diverged"] else ""),
            str(row["best_epoch"]),
            f"{row['validation_accuracy']:.1%}",
            f"{row['test_accuracy']:.1%}",
            f"{row['test_loss']:.3f}",
            f"{row['seconds']:.0f}",
        )
    return table


def runs_table(documents: list[dict[str, Any]]) -> Table:
    """Runs, as given."""
    table = Table("run", "state", "dataset", "switch epochs", "best test accuracy")
    for document in documents:
        parameters = document["parameters"]
        best = max((row["test_accuracy"] for row in document["results"]), default=None)
        table.add_row(
            document["id"],
            document["state"],
            str(parameters["dataset"]),
            ", ".join(map(str, parameters["switch_epochs"])),
            "" if best is None else f"{best:.1%}",
        )
    return table
