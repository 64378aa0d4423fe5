"""The table of starts: a column is an entry of `COLUMNS`, and may show all that a training or its evaluation has."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from components.report.wording import percent, points

if TYPE_CHECKING:
    from collections.abc import Callable

    from components.report.starts import Comparison, Start
    from switchpoint.documents.results import Result, StartResult


class Line(NamedTuple):
    """A row of the table."""

    start: Start
    result: StartResult


def gain(line: Line) -> str:
    """The gain with its interval."""
    own = line.result["gain"]
    return f"{points(own['points'])} ({points(own['low'])} to {points(own['high'])})" if own else "–"


def spread(line: Line, value: Callable[[Result], float], write: Callable[[float], str]) -> str:
    """The seeds' lowest and highest below their mean; nothing where there is one seed."""
    values = [value(each.result) for each in line.start.trainings]
    return f"<small>{write(min(values))} to {write(max(values))}</small>" if len(values) > 1 else ""


def best_epochs(line: Line) -> str:
    """The kept epoch of each seed's training."""
    found = sorted({each.result["best_epoch"] for each in line.start.trainings})
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


RATE = "Learning rate"
COLUMNS: dict[str, Callable[[Line], str]] = {
    RATE: lambda line: f"{line.result['learning_rate']:g}" if line.result["learning_rate"] else "–",
    "Kept epoch": best_epochs,
    "Validation accuracy": lambda line: (
        percent(line.result["validation_accuracy"]) + spread(line, lambda row: row["validation_accuracy"], percent)
    ),
    "Test accuracy": lambda line: (
        percent(line.result["test_accuracy"]) + spread(line, lambda row: row["test_accuracy"], percent)
    ),
    "Top‑5 accuracy": lambda line: percent(line.result["test_top_5"]),
    "Test loss (nats)": lambda line: f"{line.result['test_loss']:.3f}",
    "Gain in points (95 % interval)": gain,
    "Training (s)": lambda line: f"{line.result['seconds']:,.1f}",
}


def comparison(compared: Comparison) -> str:
    """The table, means over the seeds; on a narrow screen each row becomes a card."""
    results = compared.document["starts"]
    several = len({row["learning_rate"] for row in compared.document["results"]} - {None}) > 1
    columns = {label: cell for label, cell in COLUMNS.items() if several or label != RATE}
    body = []
    for number, row in enumerate(results):
        name = f"epoch {row['switch_epoch']}" if row["switch_epoch"] else "transfer alone"
        tags = ["chosen"] * (number == compared.chosen) + ["diverged"] * bool(row["diverged"])
        name += "".join(f' <b class="{tag}">{tag}</b>' for tag in tags)
        line = Line(compared.starts[number], row)
        cells = "".join(f'<td data-label="{label}">{cell(line)}</td>' for label, cell in columns.items())
        chosen = " class=chosen" * (number == compared.chosen)
        body.append(f'<tr{chosen}><th scope="row" style="--key:var(--s{number})">{name}</th>{cells}')
    headings = "".join(f'<th scope="col">{label}</th>' for label in ("Fine-tuning from", *columns))
    return f'<table class="comparison cards"><thead><tr>{headings}</thead><tbody>{"".join(body)}</tbody></table>'
