"""The report's words: the answer in one sentence, the conclusion, and how numbers are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switchpoint.documents import Gain, History, Result, Verdict


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


def start(switch_epoch: int | None) -> str:
    """What a start is called in a sentence."""
    return f"fine-tuning from epoch {switch_epoch}" if switch_epoch else "transfer learning alone"


def ahead(gained: Gain) -> bool:
    """Whether the interval, as the reader sees it, lies above 0."""
    return bool(round(gained["low"], 1) > 0)


def behind(gained: Gain) -> bool:
    """Whether the interval, as the reader sees it, lies below 0."""
    return bool(round(gained["high"], 1) < 0)


def lead(rows: Sequence[Result], best: Result, verdict: Verdict) -> str:
    """What to do; or, where the photos don't say it, that they don't."""
    chosen = start(best["switch_epoch"])
    if verdict["worse_on_test"]:
        return f"{capital(chosen)} came out worse on test than transfer learning alone"
    if len(rows) == 1:
        return capital(chosen)
    if level := [start(each["switch_epoch"]) for each in verdict["against"] if not each["told_apart"]]:
        return f"{capital(chosen)} is not told apart from {' and '.join(level)}"
    if best["switch_epoch"]:
        return f"Start fine-tuning after epoch {best['switch_epoch']} of transfer learning"
    return "Stay with transfer learning alone"


def capital(text: str) -> str:
    """A sentence's beginning."""
    return text[:1].upper() + text[1:]


def answer(rows: Sequence[Result], best: Result, photos: int, verdict: Verdict) -> tuple[str, str]:
    """The answer in one sentence, in two parts: what to do, and the numbers."""
    said = lead(rows, best, verdict)
    numbers = f"best on validation ({percent(best['validation_accuracy'])}), it {measured(best, photos)}"
    if verdict["worse_on_test"]:
        return said, f"{numbers}. This run gives no reason to fine-tune."
    if best["switch_epoch"]:
        return said, f"{numbers}."
    if len(rows) == 1:
        return said, f"{numbers}; no switch epoch was tried."
    rival = next(row for row in rows if row["switch_epoch"] == verdict["against"][0]["switch_epoch"])
    second = f"{start(rival['switch_epoch'])} comes next ({percent(rival['validation_accuracy'])})"
    return said, f"{numbers}; {second} and {measured(rival, photos)}."


def compared(best: Result, verdict: Verdict) -> str:
    """The chosen start against others, on the photos that chose it; empty where there is no other."""
    if not verdict["against"]:
        return ""
    each = []
    for gained in verdict["against"]:
        doubt = "" if gained["told_apart"] else " includes 0: not told apart" if uncertain(gained) else ": it is behind"
        interval = f"95 % interval {points(gained['low'])} to {points(gained['high'])}{doubt}"
        each.append(f"{points(gained['points'])} points against {start(gained['switch_epoch'])} ({interval})")
    return (
        f"On the {verdict['photos']:,} validation photos {start(best['switch_epoch'])} comes to {', and '.join(each)}. "
        "It was chosen by these photos, which favours it; what another seed would change is in no interval."
    )


def conclusion(rows: Sequence[Result], histories: Sequence[History], best: int, photos: int, verdict: Verdict) -> str:
    """The paragraph that ends the comparison."""
    alone, chosen = rows[0], rows[best]
    text = [
        f"{lead(rows, chosen, verdict)}.",
        f"Transfer learning alone was best on the validation photos after epoch {alone['best_epoch']} "
        f"({percent(alone['validation_accuracy'])}) and {measured(alone, photos)}.",
    ]
    if best:
        text.append(
            f"Fine-tuning from epoch {chosen['switch_epoch']} came highest on them, in its epoch "
            f"{chosen['best_epoch']} ({percent(chosen['validation_accuracy'])}), and {measured(chosen, photos)}."
        )
    if verdict["against"]:
        text.append(compared(chosen, verdict))
    if verdict["worse_on_test"]:
        text.append("This run gives no reason to fine-tune. The model kept is still the one that validation chose.")
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
    if best and len(rows) > 2:
        text += untried(rows, best, len(histories[0]["epochs"]))
    if chosen["best_epoch"] == len(histories[best]["epochs"]) and not chosen["diverged"]:
        text.append("The best model is that of its last epoch: more epochs may improve it.")
    return " ".join(text)


def untried(rows: Sequence[Result], best: int, epochs: int) -> list[str]:
    """Whether the chosen switch epoch is the first or the last that was tried, though there are others beyond it.

    Args:
        rows: Transfer learning alone first.
        best: The chosen one's number.
        epochs: Of transfer learning: there is no later start.
    """
    switch_epoch = rows[best]["switch_epoch"] or 0
    if best == 1 and switch_epoch > 1:
        return ["Earlier switch epochs than the chosen one were not tried."]
    if best == len(rows) - 1 and switch_epoch < epochs:
        return ["Later switch epochs than the chosen one were not tried."]
    return []


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
