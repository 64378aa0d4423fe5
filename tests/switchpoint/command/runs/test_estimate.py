"""How long a run will take, from what earlier ones took."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from switchpoint.command.cli.console import Show, time_needed
from switchpoint.command.parameters import resolve
from switchpoint.command.runs.estimate import START, _share, expect, work
from switchpoint.cores import cores

NAMES = ("prepare", "transfer", "finetune", "evaluate", "report")


def at(second: int) -> str:
    return f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}.000+00:00"


@pytest.fixture
def earlier(tmp_path: Path) -> Callable[..., Any]:
    """A run whose steps began and ended at the given seconds; of 720 photos."""

    def make(times: dict[str, tuple[int, int]], **parameters: Any) -> Any:
        split = {name: {"photos": count} for name, count in (("train", 480), ("validation", 120), ("test", 120))}
        (tmp_path / "records").mkdir(exist_ok=True)
        (tmp_path / "records" / "manifest.json").write_text(json.dumps({"splits": split}))
        steps = [
            {"name": name, "state": "ran", "started": at(begin), "ended": at(end), "seconds": float(end - begin),
             "outputs": {"records": str(tmp_path / "records")} if name == "prepare" else {}}
            for name, (begin, end) in times.items()
        ]  # fmt: skip
        return {"id": "r", "parameters": values(**parameters), "cores": cores(), "steps": steps}

    return make


def values(**changed: Any) -> dict[str, Any]:
    return resolve("demo", {"dataset_digest": "d", **changed})


def planned(parameters: dict[str, Any], runs: list[Any]) -> dict[str, Any]:
    steps: Any = [{"name": name, "state": "will run"} for name in NAMES]
    expect(steps, parameters, runs)
    return {step["name"]: step for step in steps}


TIMES = {"prepare": (0, 10), "transfer": (10, 30), "finetune": (30, 70), "evaluate": (70, 80), "report": (80, 83)}


def test_a_step_takes_as_long_as_it_took_and_longer_for_more_work(earlier: Callable[..., Any]) -> None:
    run = earlier(TIMES)
    steps = planned(run["parameters"], [run])
    assert {name: step["expected"] for name, step in steps.items()} == {
        "prepare": 10, "transfer": 20, "finetune": 40, "evaluate": 10, "report": 3,
    }  # fmt: skip
    assert time_needed(list(steps.values())) == "It takes about 83 s, as earlier runs did here."
    longer = planned(values(finetune_epochs=8, image_size=90), [run])
    assert longer["finetune"]["expected"] == pytest.approx(40 * 2 * (90 / 64) ** 2, rel=0.01)
    assert longer["prepare"]["expected"] == 10


def test_what_ran_side_by_side_cost_half_of_its_seconds(earlier: Callable[..., Any]) -> None:
    run = earlier(TIMES | {"evaluate": (40, 60)})
    steps = planned(run["parameters"], [run])
    assert steps["evaluate"]["expected"] == 10 and steps["finetune"]["expected"] == pytest.approx(40 / 1.5, abs=0.1)


@pytest.mark.parametrize("other", [
    {"backbone": "efficientnet_b0"}, {"image_size": 512}, {"mixed_precision": "on"},
])  # fmt: skip
def test_another_network_or_much_more_work_goes_by_rates(earlier: Callable[..., Any], other: dict[str, Any]) -> None:
    steps = planned(values(**other), [earlier(TIMES)])
    assert steps["finetune"]["expected_by"] == "rates"
    assert "by rates that were measured" in time_needed(list(steps.values()))


def test_other_cores_are_another_machine(earlier: Callable[..., Any]) -> None:
    run = earlier(TIMES) | {"cores": cores() + 1}
    assert planned(run["parameters"], [run])["finetune"]["expected_by"] == "rates"


def test_a_first_run_counts_its_photos(folder: Callable[..., Path]) -> None:
    few, many = (
        planned(values(dataset=str(folder(name, cats=count, dogs=count))), [])["finetune"]["expected"] - START
        for name, count in (("few", 10), ("many", 100))
    )
    assert many == pytest.approx(10 * few, abs=1)


def test_nothing_is_claimed_of_photos_that_nobody_counted(tmp_path: Path) -> None:
    steps = planned(values(dataset="tfds:pets"), [])
    assert not any("expected" in step for step in steps.values()) and time_needed(list(steps.values())) == ""


def test_a_search_takes_epochs_from_the_lowest_seed_alone() -> None:
    values = resolve("demo", {"search": "halving", "seeds": [1, 2], "finetune_epochs": 10})

    def share(seed: int, rung: int | None) -> float:
        return _share({"name": "finetune", "seed": seed, "rung": rung}, values)  # type: ignore[typeddict-item]

    assert [share(1, 1), share(1, 2), share(1, None), share(2, None)] == [0.3, 0.1, 0.6, 1.0]


def test_corruptions_are_work() -> None:
    of = {kind: work("evaluate", values(robustness=kind), 7200) for kind in ("off", "sample", "full")}
    assert of["off"] < of["sample"] < of["full"]


def test_a_long_run_says_so_before_it_starts() -> None:
    def said(seconds: float) -> str:
        show = Show(Console(file=io.StringIO(), width=80), {"seeds": [1]})
        show.planned([{"state": "will run", "expected": seconds, "expected_by": "earlier runs"}])  # type: ignore[list-item]
        return show.console.file.getvalue()  # type: ignore[attr-defined, no-any-return]

    assert said(500) == ""
    assert said(7300).startswith("It takes about 2 h 02 min, as earlier runs did here. A smaller --image-size")
