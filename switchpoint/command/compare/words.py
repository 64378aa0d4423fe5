"""What a comparison of runs says, on the terminal and on its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from components.report.wording import ahead, behind, percent, points
from components.report.wording import start as named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switchpoint.command.documents import Compared, ComparedRun, RunsApart

Rows = list[list[str]]


def names(compared: Compared) -> list[str]:
    """What the runs are called: by their names where they have different ones, else by their ids."""
    found = [run["name"] or run["id"] for run in compared["runs"]]
    return found if len(set(found)) == len(found) else [run["id"] for run in compared["runs"]]


def sentence(compared: Compared) -> str:
    """What the test photos say of the recommended starts, each run against the first."""
    ids = [run["id"] for run in compared["runs"]]
    called = {run: name if name == run else f"“{name}”" for run, name in zip(ids, names(compared), strict=True)}
    if not compared["paired"]:
        return compared["why_not"]
    first, *others = called
    shown = {each["run"]: each for each in compared["differences"] if each["start"] == "recommended"}
    said = [_told(called[run], called[first], shown.get(run)) for run in others]
    photos, leaked = compared["runs"][0]["test_photos"], compared["leaked"]
    without = f", without {leaked:,} that a run has in training or validation, too" if leaked else ""
    return f"{' '.join(said)} On the same {photos - leaked:,} test photos{without}{_seeds(compared)}."


def _told(run: str, first: str, apart: RunsApart | None) -> str:
    if apart is None:
        return f"{run} recommends the same models as {first}."
    interval = f"{points(apart['points'])} points (95 % interval {points(apart['low'])} to {points(apart['high'])})"
    if ahead(apart):
        return f"{run} is ahead of {first}: {interval}."
    if behind(apart):
        return f"{run} is behind {first}: {interval}."
    return f"{run} and {first} are not told apart: {interval}."


def _seeds(compared: Compared) -> str:
    seeds, has = compared["seeds"], [run["seeds"] for run in compared["runs"]]
    if len(seeds) == 1:
        return f", under seed {seeds[0]}: other seeds may move it"
    common = "" if all(each == seeds for each in has) else ", those that all have"
    return f" under {len(seeds)} seeds{common}"


def parameters(compared: Compared) -> Rows:
    """What differs, a row each."""
    return [
        [name, *("–" if value is None else _value(value) for value in row)]
        for name, row in compared["parameters"].items()
    ]


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def results(compared: Compared) -> Rows:
    """Test accuracy of each start, a column a run; the recommended one is marked, and rates told where they differ."""
    recommended = [run["recommended"] for run in compared["runs"]]
    rates = {rate for each in compared["starts"] for rate in each["learning_rate"] if rate is not None}

    def cell(accuracy: float | None, rate: float | None, chosen: bool) -> str:
        if accuracy is None:
            return "–"
        return "* " * chosen + percent(accuracy) + (f" at {rate:g}" if rate is not None and len(rates) > 1 else "")

    rows = [
        [
            _start(each["switch_epoch"]),
            *(
                cell(accuracy, rate, each["switch_epoch"] == own)
                for accuracy, rate, own in zip(each["test_accuracy"], each["learning_rate"], recommended, strict=True)
            ),
        ]
        for each in compared["starts"]
    ]
    about: list[tuple[str, Any]] = [
        ("validation of *", lambda run: percent(run["validation_accuracy"])),
        ("test photos", lambda run: f"{run['test_photos']:,}" + f", {run['leaked']:,} leaked" * bool(run["leaked"])),
        ("seeds", lambda run: ", ".join(map(str, run["seeds"]))),
        ("training in all", lambda run: f"{run['training_seconds']:,.0f} s"),
    ]
    return rows + [[name, *(write(run) for run in compared["runs"])] for name, write in about]


def _start(switch_epoch: int | None) -> str:
    return "transfer alone" if switch_epoch is None else f"from epoch {switch_epoch}"


def differences(compared: Compared) -> Rows:
    """Each difference from the first run with its interval, a row each."""
    called = dict(zip((run["id"] for run in compared["runs"]), names(compared), strict=True))
    return [
        [
            "recommended starts" if each["start"] == "recommended" else named(each["start"]),
            called[each["run"]],
            points(each["points"]),
            f"{points(each['low'])} to {points(each['high'])}",
            "ahead" if ahead(each) else "behind" if behind(each) else "not told apart",
        ]
        for each in compared["differences"]
    ]


def curves(compared: Compared) -> list[tuple[str, Sequence[float], Sequence[float]]]:
    """Of each run its name, and validation accuracy an epoch up to its recommended switch, and from there."""
    return [
        (name, run["curves"]["transfer"][: run["recommended"]], run["curves"]["finetune"])
        for name, run in zip(names(compared), compared["runs"], strict=True)
    ]


def course(run: ComparedRun) -> str:
    """What a run's curve is of."""
    return named(run["recommended"])
