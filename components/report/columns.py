"""The table of starts: a column is an entry of `COLUMNS`, and may show all that a training or its evaluation has."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from components.report import charts
from components.report.wording import percent, points

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from switchpoint.documents import Evaluation, Gain, History, Result, Results


class Comparison(NamedTuple):
    """What is compared: transfer learning alone first, then the fine-tunings in the order of their switch epochs.

    Attributes:
        document: With a result for each.
        best: The best model's number.
        histories: A history for each.
        evaluations: An evaluation for each.
    """

    document: Results
    best: int
    histories: Sequence[History]
    evaluations: Sequence[Evaluation]


class Start(NamedTuple):
    """A row of the table."""

    result: Result
    history: History
    evaluation: Evaluation
    gains: Sequence[Gain]  # of all rows


def gain(start: Start) -> str:
    """The gain with its interval, in numbers and drawn."""
    own = start.result["gain"]
    if not own:
        return "–"
    text = f"{points(own['points'])} ({points(own['low'])} to {points(own['high'])})"
    return f"<span>{text}</span>{charts.interval(own, start.gains)}"


COLUMNS: dict[str, Callable[[Start], str]] = {
    "Best epoch": lambda start: str(start.result["best_epoch"]),
    "Validation accuracy": lambda start: percent(start.result["validation_accuracy"]),
    "Test accuracy": lambda start: percent(start.result["test_accuracy"]),
    "Top‑5 accuracy": lambda start: percent(start.result["test_top_5"]),
    "Test loss (nats)": lambda start: f"{start.result['test_loss']:.3f}",
    "Gain in points (95 % interval)": gain,
    "Training (s)": lambda start: f"{start.result['seconds']:,.1f}",
}


def comparison(compared: Comparison) -> str:
    """The table; on a narrow screen each row becomes a card."""
    results = compared.document["results"]
    gains = [row["gain"] for row in results if row["gain"]]
    body = []
    for number, row in enumerate(results):
        name = f"epoch {row['switch_epoch']}" if row["switch_epoch"] else "transfer alone"
        tags = ["chosen"] * (number == compared.best) + ["diverged"] * row["diverged"]
        name += "".join(f' <b class="{tag}">{tag}</b>' for tag in tags)
        start = Start(row, compared.histories[number], compared.evaluations[number], gains)
        cells = "".join(f'<td data-label="{label}">{cell(start)}</td>' for label, cell in COLUMNS.items())
        chosen = " class=chosen" * (number == compared.best)
        body.append(f'<tr{chosen}><th scope="row" style="--key:var(--s{number})">{name}</th>{cells}')
    headings = "".join(f'<th scope="col">{label}</th>' for label in ("Fine-tuning from", *COLUMNS))
    return f'<table class="comparison cards"><thead><tr>{headings}</thead><tbody>{"".join(body)}</tbody></table>'
