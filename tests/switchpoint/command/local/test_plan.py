"""A plan of a loop in a loop: every round has its own seed and switch epoch, and what the rounds around it made."""

from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from kfp import dsl

from switchpoint.command.local.orchestrator import Task, orchestrate
from switchpoint.command.local.plan import plan
from switchpoint.command.parameters import resolve
from switchpoint.command.runs.steps import place


def test_each_round_has_its_own_items_and_what_comes_from_other_steps(tmp_path: Path) -> None:
    digests = {"dataset_digest": "d" * 64, "weights_digest": "e" * 64}
    candidates = {"switch_epochs": [1, 4], "finetune_learning_rate": [1e-4, 3e-4]}
    steps = {
        place(step): step
        for step in plan(
            resolve("demo", {"seeds": [1, 2], **candidates, **digests}),
            tmp_path,
        )
    }
    assert len(steps) == 1 + 2 * (3 + 2 * 2 * 2) + 1
    for (name, seed, switch_epoch, rate, _), step in steps.items():
        given = step["parameters"]
        if name in ("transfer", "finetune", "evaluate", "collect"):
            assert given["seed"] == seed
            assert given.get("switch_epoch") == (switch_epoch or (0 if name == "evaluate" else None))
        if switch_epoch:
            assert given["learning_rate"] == rate
        if name == "transfer":
            assert given["weights_digest"] == digests["weights_digest"]
        if name == "finetune":
            assert step["inputs"]["checkpoints"] == [
                steps["transfer", seed, None, None, None]["outputs"]["checkpoints"]
            ]
        if name == "evaluate":
            model = steps["finetune" if switch_epoch else "transfer", seed, switch_epoch, rate, None]["outputs"][
                "model"
            ]
            assert step["inputs"]["model"] == [model]
        if name == "collect":
            models = [
                steps["finetune", seed, *each, None]["outputs"]["model"] for each in product((1, 4), (1e-4, 3e-4))
            ]
            assert step["inputs"]["finetune_models"] == models


def test_a_search_says_how_many_trainings_each_rung_has_at_most(tmp_path: Path) -> None:
    digests = {"dataset_digest": "d" * 64, "weights_digest": "e" * 64}
    candidates = {"switch_epochs": "all", "finetune_learning_rate": [1e-4, 3e-4], "search": "halving"}
    steps = plan(resolve("demo", {"transfer_epochs": 3, "seeds": [1, 2], **candidates, **digests}), tmp_path)
    found = [(step["name"], step["seed"], step.get("rung"), step.get("at_most", 1)) for step in steps]
    assert [each for each in found if each[0] == "transfer"] == [("transfer", 1, None, 1), ("transfer", 2, None, 1)]
    assert found.count(("finetune", 1, 1, 1)) == 3 * 2
    rest = [("halve", 1, 1, 1), ("finetune", 1, 2, 3), ("halve", 1, 2, 1)]
    rest += [(name, seed, None, 2) for seed in (1, 2) for name in ("finetune", "evaluate")]
    assert [each for each in rest if found.count(each) != 1] == []
    assert len(found) == 1 + 2 + 6 + len(rest) + 2 * 2 + 1
    at_most = [step for step in steps if "at_most" in step]
    assert {step["why"] for step in at_most} == {"which ones, the rung before will say"}


def test_a_step_runs_from_when_there_is_room_for_it(tmp_path: Path) -> None:
    """Until then it is pending, and its time has not begun."""
    seen: list[tuple[str, str, bool]] = []

    class Watching:
        steps: ClassVar[list[Any]] = []

        def execute(self, task: Task) -> dict[str, dsl.Artifact]:
            before = task.step["state"]
            task.step["started"] = "when it was come to"
            task.begin()
            seen.append((before, task.step["state"], task.step["started"] == "when it was come to"))
            return {name: dsl.Artifact(name=name, uri=f"planned://{task.step['name']}/{name}") for name in task.outputs}

        def ended(self, step: Any) -> None:
            pass

    values = resolve("demo", {"switch_epochs": [1], "dataset_digest": "d" * 64, "weights_digest": "e" * 64})
    orchestrate(values, tmp_path, tmp_path / "cache", "subprocess", Watching(), writes=False)
    assert seen == [("pending", "running", False)] * 7
    assert {step["state"] for step in Watching.steps} == {"ran"}
