"""A search by successive halving on this machine, and the sweep after it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.project import FLAGS, Project

pytestmark = pytest.mark.slow

SEARCH = (
    "--switch-epochs=1,3",
    "--finetune-learning-rate=1e-4,3e-3",
    "--finetune-epochs=3",
    "--robustness=off",
)


def steps_of(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [step for step in document["steps"] if step["name"] == name]


def test_a_search_trains_less_and_a_sweep_after_it_only_the_rest(tmp_path: Path) -> None:
    project = Project(tmp_path)
    flags = [flag for flag in FLAGS if not flag.startswith("--finetune-epochs")]
    found = project.json("run", "--dataset", "photos", "--search=halving", "--seeds=1,2", *flags, *SEARCH)
    rungs = [[step for step in steps_of(found, "finetune") if step["rung"] == rung] for rung in (1, 2)]
    whole = [step for step in steps_of(found, "finetune") if not step["rung"]]
    assert [len(each) for each in rungs] == [4, 2] and {step["seed"] for each in rungs for step in each} == {1}
    assert [step["seed"] for step in whole] == [1, 2] and len({step["switch_epoch"] for step in whole}) == 1
    assert [step["seed"] for step in steps_of(found, "transfer")] == [1, 2]
    assert [step["rung"] for step in steps_of(found, "halve")] == [1, 2]
    assert {step["state"] for step in found["steps"]} == {"ran"}
    assert found["search"]["epochs"] == 4 * 1 + 2 * 1 + 1 * 1 + 3
    assert found["search"]["sweep_epochs"] == 4 * 3 * 2
    left = {(row["switch_epoch"], row["learning_rate"]) for row in found["results"] if not row["rung"]}
    digests = {row["seed"]: row["model_digest"] for row in found["results"] if row["switch_epoch"] and not row["rung"]}

    assert {step["state"] for step in project.json("plan", "--rerun")["steps"]} == {"cached"}

    planned = project.json("plan", "--rerun", "--search=sweep")["steps"]
    swept = project.json("rerun", "--search=sweep")
    for document in ({"steps": planned}, swept):
        trained = [step for step in steps_of(document, "finetune") if step["state"] != "cached"]
        assert len(trained) == 2 * 3  # of each seed all but the one that was left
        assert not {(step["switch_epoch"], step["learning_rate"]) for step in trained} & left
        assert {step["state"] for step in steps_of(document, "transfer")} == {"cached"}
    again = {row["seed"]: row for row in swept["results"] if (row["switch_epoch"], row["learning_rate"]) in left}
    assert {seed: row["model_digest"] for seed, row in again.items()} == digests | {
        seed: row["model_digest"] for seed, row in again.items() if row["switch_epoch"] is None
    }
    logs = [
        (project.place / "runs" / swept["id"] / step["log"]).read_text()
        for step in steps_of(swept, "finetune")
        if step["state"] == "ran" and step["seed"] == 1
    ]
    assert len(logs) == 3 and all("goes on after epoch" in log for log in logs)
    assert swept["search"] is None

    done = project.command("labels", "--html", "doubts.html", "--csv", "doubts.csv", "--json")
    assert done.returncode == 0, done.stderr
    named = json.loads(done.stdout)
    assert named["run"] == swept["id"] and named["photos"] == 36
    rows = (project.place / "doubts.csv").read_text().splitlines()
    assert rows[0].startswith("photo,split,label,suggested") and len(rows) == 1 + len(named["in_doubt"])
    for each in named["in_doubt"]:
        assert each["photo"].startswith(f"{each['label']}/") and each["suggested"] != each["label"]
    assert (project.place / "doubts.html").read_text().count("<img") == len(named["in_doubt"])
