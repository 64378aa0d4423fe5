"""What a person sees while a run goes: the lines are those that the steps print."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from switchpoint.command.cli.console import Show, about_photos, results_table, sparkline, steps_table, wide
from switchpoint.command.cli.listing import runs_table
from switchpoint.progress import Progress, say

TRANSFER = {
    "name": "transfer",
    "seed": 1,
    "switch_epoch": None,
    "learning_rate": None,
    "why": "first run",
    "state": "ran",
    "seconds": 12.75,
}
FINETUNE = {
    "name": "finetune",
    "seed": 1,
    "switch_epoch": 14,
    "learning_rate": 0.0003,
    "why": "first run",
    "state": "ran",
    "seconds": 80.0,
}


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A line as a step prints it."""

    def line(step: str, what: Progress | str) -> str:
        say(step, what)
        return capsys.readouterr().out

    return line


def epoch(number: int, epochs: int = 14) -> Progress:
    measured = {"loss": 2 / number, "accuracy": number / 20, "val_loss": 1.998, "val_accuracy": number / 16}
    return Progress("epoch", number, epochs, 3 * (epochs - number), measured)


@pytest.fixture
def terminal() -> Callable[[int], Show]:
    def make(width: int) -> Show:
        return Show(Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width, height=24), {})

    return make


def live(show: Show) -> list[str]:
    """The lines that change."""
    with show.console.capture() as capture:
        show.console.print(show.progress.get_renderable())
    return [line.rstrip() for line in capture.get().splitlines()]


def printed(show: Show) -> str:
    return show.console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (36, "epoch 13/14"),
        (80, "epoch 13/14  ▁▂▂▃▃▄▅▅▆▆▇▇█  val_accuracy 0.812  3 s left"),
        (120, "epoch 13/14  ▁▂▂▃▃▄▅▅▆▆▇▇█  val_accuracy 0.812  3 s left  loss 0.154  accuracy 0.650"),
    ],
)
def test_a_terminal_shows_the_epoch_the_curve_and_no_number_that_is_cut(
    terminal: Callable[[int], Show], said: Callable[..., str], width: int, shown: str
) -> None:
    show = terminal(width)
    show.started(TRANSFER)
    show.started(FINETUNE)
    for number in range(1, 14):
        show.line(TRANSFER, said("transfer", epoch(number)))
        show.line(FINETUNE, said("finetune 14", epoch(number)))
    assert live(show) == [f"{name:<14} 0:00:00 {shown}" for name in ("transfer", "finetune 14")]


def test_the_curve_stays_when_the_step_ends(terminal: Callable[[int], Show], said: Callable[..., str]) -> None:
    show = terminal(80)
    show.started(TRANSFER)
    assert live(show) == ["transfer       0:00:00"]
    for number in (1, 4, 2):
        show.line(TRANSFER, said("transfer", epoch(number)))
    show.ended(TRANSFER)
    assert live(show) == []
    assert printed(show).splitlines()[-1] == "transfer       done in 12.8 s  ▁█▃  best val_accuracy 0.250"


def test_what_is_no_progress_is_printed_also_on_a_terminal(
    terminal: Callable[[int], Show], said: Callable[..., str]
) -> None:
    show = terminal(80)
    show.started(FINETUNE)
    show.line(FINETUNE, said("finetune 14", "diverged in epoch 1, step 3, at learning rate 1e+38"))
    show.line(FINETUNE, "I0000 00:00:1 cuda_dnn.cc:529] TensorFlow's own talk 1/2")
    assert printed(show).splitlines()[1:] == [
        "finetune 14    diverged in epoch 1, step 3, at learning rate 1e+38",
    ]


def test_photos_are_counted(terminal: Callable[[int], Show], said: Callable[..., str]) -> None:
    step: dict[str, Any] = TRANSFER | {"name": "prepare"}
    show = terminal(80)
    show.started(step)
    show.line(step, said("prepare", Progress("photos", 512, 1000, 5)))
    assert live(show) == ["prepare        0:00:00 photos 512/1000  5 s left"]


def test_a_file_gets_a_line_an_epoch(said: Callable[..., str]) -> None:
    show = Show(Console(file=io.StringIO(), width=80), {})
    show.started(TRANSFER)
    show.line(TRANSFER, said("transfer", epoch(3)))
    show.ended(TRANSFER)
    assert printed(show).splitlines() == [
        "transfer       runs: first run",
        "transfer       epoch 3/14, loss 0.667, accuracy 0.150, val_loss 1.998, val_accuracy 0.188, 33 s left",
        "transfer       done in 12.8 s",
    ]


@pytest.mark.parametrize("dropped", [[], [{"photo": "a/1.jpg", "reason": "a copy"}]])
def test_what_the_photos_are_is_said_before_anything_trains(tmp_path: Path, dropped: list[dict[str, str]]) -> None:
    counts = {"train": [3, 4], "validation": [1, 1], "test": [1, 0]}
    manifest = {
        "classes": ["a", "b"], "source": {"dataset": "photos", "digest": "d"}, "notes": [], "dropped": dropped,
        "splits": {name: {"photos": sum(per_class), "per_class": per_class} for name, per_class in counts.items()},
        "split_from": {"train": "dataset", "validation": "cut", "test": "dataset"},
        "left_out": [{"photo": "b/1.jpg", "reason": "empty"}],
        "duplicates": [{"photos": ["a/1.jpg", "a/2.jpg"], "kind": "across splits", "exact": False}],
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    show = Show(Console(file=io.StringIO(), width=80), {})
    prepare = TRANSFER | {"name": "prepare", "state": "cached"}
    show.ended(prepare | {"outputs": {"records": str(tmp_path)}})
    copies = (
        "1 copies were dropped (--leaks drop)"
        if dropped
        else "1 group of copies (2 photos) is in more than one of train, validation and test"
    )
    assert printed(show).splitlines() == [
        "prepare        cached",
        "prepare        2 classes, 10 photos: 7 train (own split), 2 validation (cut), 1 test (own split)",
        "prepare        classes without a photo in test: 1",
        "prepare        1 photos can't be read",
        f"prepare        {copies}",
    ]
    show.ended(prepare | {"outputs": {"records": str(tmp_path / "gone")}})
    assert printed(show).splitlines()[-1] == "prepare        cached"


def test_steps_of_several_seeds_are_told_apart_in_a_column() -> None:
    show = Show(Console(file=io.StringIO(), width=80), {"seeds": [1, 12]})
    for step in (
        TRANSFER,
        FINETUNE | {"seed": 12},
        {"name": "report", "seed": None, "switch_epoch": None, "learning_rate": None},
    ):
        show.ended({"state": "cached"} | step)
    assert printed(show).splitlines() == [
        "transfer, seed 1        done in 12.8 s",
        "finetune 14, seed 12    done in 80.0 s",
        "report                  cached",
    ]


def test_a_curve_is_drawn_from_its_lowest_to_its_highest() -> None:
    assert sparkline([0.1, 0.5, 0.8]) == "▁▅█"
    assert sparkline([0.5]) == "▁"
    assert sparkline([]) == ""


def a_run(number: str) -> dict[str, Any]:
    parameters = {"dataset": "/home/someone/photos of food/food-101", "switch_epochs": [1, 2, 4, 8, 14]}
    return {"id": number, "state": "succeeded", "parameters": parameters, "results": []}


@pytest.mark.parametrize(
    "run", ["20261124-101502-3f9a", "0b5e1f9c-77aa-4c2b-9d10-8e6f5a4b3c2d"], ids=["here", "cluster"]
)
@pytest.mark.parametrize("width", [60, 80])
def test_the_id_of_a_run_is_never_cut(run: str, width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(runs_table([a_run(run)]))
    lines = printed_by(console).splitlines()
    assert any(f" {run} " in line for line in lines)
    assert max(map(len, lines)) <= width


def test_in_a_pipe_nothing_is_cut_or_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    wide().print(runs_table([a_run("20261124-101502-3f9a")]))
    lines = capsys.readouterr().out.splitlines()
    assert any("/home/someone/photos of food/food-101" in line and "1, 2, 4, 8, 14" in line for line in lines)
    assert max(map(len, lines)) < 160


def printed_by(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined]


def shown(what: Any, width: int = 120) -> list[str]:
    output = io.StringIO()
    Console(file=output, width=width).print(what)
    return output.getvalue().splitlines()


def row(switch_epoch: int | None, validation: float, test: float) -> dict[str, Any]:
    numbers = {"validation_accuracy": validation, "test_accuracy": test, "test_loss": 1.0, "seconds": 9.0}
    return numbers | {
        "switch_epoch": switch_epoch,
        "learning_rate": switch_epoch and 0.0003,
        "diverged": False,
        "model_digest": f"from {switch_epoch}",
    }


def test_runs_show_the_chosen_starts_test_accuracy_not_the_highest() -> None:
    run: dict[str, Any] = {
        "id": "20261124-101502-3f9a",
        "state": "succeeded",
        "parameters": {"dataset": "sample", "switch_epochs": [1, 2], "seeds": [1, 2]},
        "results": [row(None, 0.70, 0.80), row(1, 0.75, 0.66), row(2, 0.74, 0.91)],
        "best": {"switch_epoch": 1, "seed": 1, "model_digest": "from 1"},
    }
    text = "\n".join(shown(runs_table([run])))
    assert "66.0%" in text and "epoch 1" in text and "1, 2; 2 seeds" in text
    assert "91.0%" not in text and "80.0%" not in text
    assert run["id"] in "\n".join(shown(runs_table([run]), width=80))
    starts = [each | {"gain": {"points": -1.44, "low": -3.0, "high": 0.12}} for each in run["results"]]
    chosen = [line for line in shown(results_table(starts, run["best"])) if "chosen" in line]
    assert len(chosen) == 1 and "epoch 1, chosen" in chosen[0] and "-1.4 [-3.0, +0.1]" in chosen[0]


def test_photos_that_are_there_twice_are_told() -> None:
    kinds = ["across splits", "across splits", "across classes", "within a class"]
    document: Any = {
        "left_out": [{"photo": "a/1.jpg", "reason": "empty"}] * 3,
        "duplicates": [{"kind": kind, "photos": ["a/1.jpg", "a/2.jpg"]} for kind in kinds],
        "notes": ["2 files lie beside the class folders: without a class they are not used ('x', 'y.jfif')"],
    }
    assert about_photos(document) == [
        "3 photos were left out; prepare's log and look.html name them.",
        "The same photo more than once: 2 photos are in more than one of train, validation and test, which flatters "
        "the result; 1 photo is in more than one class, which no model can get right; "
        "1 photo is more than once in the same class and split; look.html names them.",
        "2 files lie beside the class folders: without a class they are not used ('x', 'y.jfif').",
    ]
    twice = [{"kind": "within a class", "photos": ["b/1.jpg", "b/2.jpg"]}]
    gone = {"dropped": [{"photo": "a/1.jpg", "reason": "a copy"}] * 4, "duplicates": document["duplicates"] + twice}
    dropped = document | {"left_out": [], "notes": []} | gone
    assert about_photos(dropped) == [
        "4 copies were dropped; prepare's log and look.html name them.",
        "The same photo more than once: 1 photo is more than once in the same class and split; look.html names them.",
    ]
    assert about_photos({"left_out": [], "duplicates": []}) == []  # type: ignore[typeddict-item]


def test_the_reason_for_a_step_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = steps_table([TRANSFER | {"why": "lunch [old] [/x] is gone"}], {})  # type: ignore[list-item,typeddict-item]
    wide().print(table)
    assert "lunch [old] [/x] is gone" in capsys.readouterr().out
