"""Why a step runs, told from the runs before."""

from typing import Any

import pytest

from switchpoint.command.local.why import explain


def step(state: str, **changes: Any) -> Any:
    made_of = {"image": "a", "parameters": {"epochs": 1}, "inputs": {}}
    return (
        {"name": "transfer", "seed": 1, "switch_epoch": None, "learning_rate": None, "state": state} | made_of | changes
    )


def run(name: str, *steps: Any) -> Any:
    return {"id": name, "steps": list(steps)}


@pytest.mark.parametrize(
    ("earlier", "why"),
    [
        ([], "first run"),
        ([run("a", step("ran"))], "its outputs are gone"),
        ([run("b", step("running")), run("a", step("ran"))], "run b is making it now"),
        ([run("b", step("running", image="b")), run("a", step("ran", image="c"))], "code changed"),
        ([run("a", step("ran", packages="b"))], "packages changed"),
        ([run("b", step("interrupted"))], "run b was interrupted while it made it"),
        ([run("b", step("failed"))], "first run"),
        ([run("a", step("ran", seed=2))], "new seed"),
        ([run("b", step("ran", seed=2)), run("a", step("ran", image="c"))], "code changed"),
        ([run("a", step("ran", seed=2, switch_epoch=4), step("ran", switch_epoch=2))], "new switch epoch"),
    ],
)
def test_it_is_told_from_the_runs_before(earlier: list[Any], why: str) -> None:
    assert explain(step("will run"), earlier) == why


def test_words_for_the_reports_reader_are_not_recited() -> None:
    now = step("will run", parameters={"meanings": {"epochs": "How many."}})
    before = run("a", step("ran", parameters={"meanings": {"epochs": "Length."}}))
    assert explain(now, [before]) == "what it says of parameters changed"
