"""The report's words: the answer in one sentence, the conclusion, and how numbers are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switchpoint.documents import Gain, History, Result


def percent(share: float | None, digits: int = 1) -> str:
    """0.7134 as 71.3 %."""
    return "–" if share is None else f"{share * 100:.{digits}f} %"


def points(value: float) -> str:
    """A difference in points with its sign; never −0.0."""
    return f"{round(value, 1) + 0.0:+.1f}".replace("-", "−")


def uncertain(gained: Gain) -> bool:
    """Whether the interval, as the reader sees it, includes 0."""
    return bool(round(gained["low"], 1) <= 0 <= round(gained["high"], 1))


def measured(row: Result, photos: int) -> str:
    """What a model does on the test photos, and what that is worth."""
    text = f"names {percent(row['test_accuracy'])} of {photos:,} test photos right"
    if not (gained := row["gain"]):
        return text
    doubt = " includes 0: no difference is shown" if uncertain(gained) else ""
    interval = f"95 % interval {points(gained['low'])} to {points(gained['high'])}{doubt}"
    return f"{text}, {points(gained['points'])} points against transfer learning alone ({interval})"


def answer(rows: Sequence[Result], best: Result, photos: int) -> tuple[str, str]:
    """The answer in one sentence, in two parts: what to do, and the numbers."""
    numbers = f"best on validation ({percent(best['validation_accuracy'])}), it {measured(best, photos)}"
    if best["switch_epoch"]:
        return f"Start fine-tuning after epoch {best['switch_epoch']} of transfer learning", f"{numbers}."
    if len(rows) == 1:
        return "Transfer learning alone", f"{numbers}; no switch epoch was tried."
    rival = max(rows[1:], key=lambda row: (row["validation_accuracy"], -(row["switch_epoch"] or 0)))
    second = f"fine-tuning from epoch {rival['switch_epoch']} comes next ({percent(rival['validation_accuracy'])})"
    return "Stay with transfer learning alone", f"{numbers}; {second} and {measured(rival, photos)}."


def conclusion(rows: Sequence[Result], histories: Sequence[History], best: int, photos: int) -> str:
    """The paragraph that ends the comparison."""
    alone, chosen = rows[0], rows[best]
    text = [
        f"Transfer learning alone was best on the validation photos after epoch {alone['best_epoch']} "
        f"({percent(alone['validation_accuracy'])}) and {measured(alone, photos)}."
    ]
    if best:
        text.append(
            f"Fine-tuning from epoch {chosen['switch_epoch']} was the best of all in its epoch {chosen['best_epoch']} "
            f"({percent(chosen['validation_accuracy'])}) and {measured(chosen, photos)}."
        )
    if others := [(row, row["gain"]) for row in rows[1:] if row is not chosen and row["gain"]]:
        each = (
            f"{points(gained['points'])} points from epoch {row['switch_epoch']}"
            + " (no difference is shown)" * uncertain(gained)
            for row, gained in others
        )
        text.append(
            f"{'The other fine-tunings' if best else 'Fine-tuning'} against transfer learning: {', '.join(each)}."
        )
    for history in histories:
        if stop := history["diverged"]:
            what = (
                f"Fine-tuning from epoch {history['switch_epoch']}" if history["switch_epoch"] else "Transfer learning"
            )
            text.append(
                f"{what} diverged in its epoch {stop['epoch']}, step {stop['step']}, at learning rate "
                f"{stop['learning_rate']:.2g}: its loss stopped being a number, and what it had before counts here."
            )
    if best and len(rows) > 2 and best in (1, len(rows) - 1):
        text.append(f"{'Later' if best > 1 else 'Earlier'} switch epochs than the best one were not tried.")
    if chosen["best_epoch"] == len(histories[best]["epochs"]) and not chosen["diverged"]:
        text.append("The best model is that of its last epoch: more epochs may improve it.")
    return " ".join(text)


def markdown(rows: Sequence[Result], best: int, photos: int) -> str:
    """The answer and the table, short."""
    lead, numbers = answer(rows, rows[best], photos)
    lines = [f"**{lead}:** {numbers}", ""]
    lines += [
        "| Fine-tuning from | Best epoch | Validation accuracy | Test accuracy | Gain in points |",
        "|---|--:|--:|--:|--:|",
    ]
    for number, row in enumerate(rows):
        name = f"epoch {row['switch_epoch']}" if row["switch_epoch"] else "transfer alone"
        name = f"**{name}**" if number == best else name
        gained = points(row["gain"]["points"]) if row["gain"] else "–"
        accuracies = f"{percent(row['validation_accuracy'])} | {percent(row['test_accuracy'])}"
        lines.append(f"| {name}{', diverged' * row['diverged']} | {row['best_epoch']} | {accuracies} | {gained} |")
    return "\n".join(lines) + "\n"


def repeated(counts: Mapping[str, int]) -> str:
    """How many photos are there more than once, by kind as prepare counts them, and what comes of it."""
    words = {
        "across splits": "in more than one of train, validation and test, which flatters the result",
        "across classes": "in more than one class, which no model can get right",
        "within a class": "more than once in the same class and split",
    }
    found = [(counts[kind], text) for kind, text in words.items() if counts.get(kind)]
    return "; ".join(f"{count:,} photo{'s are' if count > 1 else ' is'} {text}" for count, text in found)


def unbroken(text: str) -> str:
    """Keep each number beside its unit."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" points", "\N{NO-BREAK SPACE}points")
