"""Runs as a table on the terminal."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from switchpoint.command.cli import quantities
from switchpoint.command.cli.console import start
from switchpoint.command.runs.results import chosen
from switchpoint.command.runs.steps import RATES, several

if TYPE_CHECKING:
    from switchpoint.command.documents import Run

ROOM = 86  # columns that a table of runs needs beside the ids
COLUMNS = (
    "run",
    "name",
    "state",
    "dataset",
    "backbone",
    "size",
    "switch epochs",
    "chosen: its test accuracy",
    "time",
    "disk",
)


def print_runs(output: Console, documents: list[Run]) -> None:
    """Runs as a table, or where that would cut ids, which one copies, each with its id on a line of its own."""
    if output.width >= ROOM + max((len(document["id"]) for document in documents), default=0):
        output.print(runs_table(documents))
        return
    for document in documents:
        first, name, *others = _about(document)
        # The terminal itself breaks a line that is too long for it, and copies it whole.
        output.print(f"{first}  {name}".rstrip(), markup=False, highlight=False, soft_wrap=True)
        output.print("  " + " · ".join(filter(None, others)), markup=False, highlight=False, soft_wrap=True)


def _about(document: Run) -> list[str]:
    """What a table of runs says of one: `COLUMNS`; empty where it is not known."""
    parameters, best = document["parameters"], chosen(document)
    # Other versions run on a cluster, too.
    loops = {"rates": RATES, "seeds": "seeds"}
    counts = "".join(f"; {len(parameters[name])} {word}" for word, name in loops.items() if several(parameters, name))
    size = parameters.get("image_size")
    disk = document.get("disk")
    name = "" if "url" in document else document.get("name")
    return [
        document["id"],
        name or "",
        document["state"],
        str(parameters["dataset"]),
        str(parameters.get("backbone", "")),
        f"{size} px" if size else "",
        ", ".join(map(str, parameters["switch_epochs"])) + counts,
        "" if best is None else f"{start(best['switch_epoch'])}: {best['test_accuracy']:.1%}",
        _time(document),
        "" if disk is None else quantities.size(disk),
    ]


def _time(document: Run) -> str:
    """How long a run took; of one under way nothing, for it may be of a clock elsewhere."""
    began, ended = document.get("started"), document.get("ended")
    if not began or not ended:
        return ""
    return quantities.lasting((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds())


def runs_table(documents: list[Run]) -> Table:
    """Runs, as given."""
    rows = [dict(zip(COLUMNS, _about(document), strict=True)) for document in documents]
    shown = [name for name in COLUMNS if name != "name" or any(row["name"] for row in rows)]
    table = Table(*shown)
    for row in rows:
        table.add_row(*(Text(row[name]) for name in shown))
    # Nothing is cut: on a narrow terminal the id, which one copies, stays in one piece and the others are wrapped.
    for column in table.columns:
        column.overflow = "fold"
    table.columns[0].no_wrap = True
    return table
