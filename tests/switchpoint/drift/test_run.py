"""A run that compares new photos, too: never from the cache, and nothing else runs for it."""

from pathlib import Path

import pytest

from tests.new_photos import KNOWN, draw
from tests.project import FLAGS, Project

pytestmark = pytest.mark.slow


def test_new_photos_are_looked_at_in_every_run_and_nothing_is_trained_for_them(tmp_path: Path) -> None:
    project = Project(tmp_path, photos=40)
    draw(tmp_path / "new", KNOWN, range(40, 52))
    flags = ("--transfer-epochs=1", "--switch-epochs=1", "--robustness=off", "--validation-fraction=0.3")
    first = project.json("run", "--dataset", "photos", *FLAGS, *flags, "--drift", "new", "--seeds", "1,2")
    assert first["steps"][-1]["name"] == "drift" and not first["drift"]["drift"]["drift"]
    assert first["parameters"]["drift"] == str(tmp_path / "new")
    assert first["drift"]["sentence"].startswith("No drift is shown: the 36 new photos")
    draw(tmp_path / "new", KNOWN, range(40, 52), 0.4)
    planned = project.json("plan", "--rerun", first["id"])["steps"]
    states = [(each["name"], each["state"]) for each in planned]
    assert ("drift", "will run") in states and {state for name, state in states if name != "drift"} == {"cached"}
    again = project.json("rerun", first["id"])
    assert {step["state"] for step in again["steps"][:-1]} == {"cached"}
    assert again["state"] == "succeeded" and again["drift"]["sentence"].startswith("Drift is shown")
    page = Path(again["report"]).with_name("drift.html").read_text()
    assert "Drift is shown" in page and page.count("<figure>") == 24
    refused = project.command("rerun", first["id"], "--drift", "nowhere")
    assert refused.returncode == 2 and "nowhere' is no folder. Give a folder of photos, gs://…, s3://" in refused.stderr
