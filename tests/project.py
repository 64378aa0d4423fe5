"""A copy of the project that a test may edit, with photos and runs of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from switchpoint.command.runs import steps
from switchpoint.data.sources import dishes as sample
from tests import warm
from tests.shallow import shallow_project
from tests.support import starts_steps

FLAGS = [
    "--backbone=efficientnet_lite0",
    "--weights=none",
    "--image-size=32",
    "--batch-size=8",
    "--transfer-epochs=3",
    "--finetune-epochs=1",
    "--transfer-learning-rate=0.003",
]
Place = tuple[str, int | None, int | None, float | None]  # name, seed, switch epoch, learning rate


RATE = 0.0003
REPORT, COLLECT = ("report", None, None, None), ("collect", 1, None, None)


def place(step: Any) -> Place:
    """Of a sweep, in which no step has a rung."""
    *found, rung = steps.place(step)
    assert rung is None
    return tuple(found)  # type: ignore[return-value]


class Project:
    """A copy of the project that a test may edit, with photos and runs of its own."""

    def __init__(self, place: Path, photos: int = 12, tracked: bool = False) -> None:
        starts_steps()
        self.tracked = tracked
        self.place, self.code, self.photos = place, place / "code", place / "photos"
        shallow_project(self.code)
        for dish in list(sample.DISHES)[:3]:
            (self.photos / dish).mkdir(parents=True)
            for number in range(photos):
                data = sample.photograph(f"{dish}/train-{number:03d}.jpg")
                (self.photos / dish / f"{number}.jpg").write_bytes(data)

    def command(self, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
        """With a `path` in front of the code's it starts a server of its own, as a person's does."""
        program = ["-m", "switchpoint.command"] if path else [warm.__file__]
        variables = {"PYTHONPATH": f"{path}{os.pathsep}{self.code}" if path else str(self.code)}
        return subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=self.place,
            env=os.environ | variables | ({} if path else warm.variables(self.tracked)),
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """What it prints comes while it runs."""
        return subprocess.Popen(
            [sys.executable, "-m", "switchpoint.command", *arguments],
            cwd=self.place,
            env=os.environ | {"PYTHONPATH": str(self.code), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def python(self, *lines: str) -> str:
        """What a program prints, when it succeeds."""
        done = subprocess.run(
            [sys.executable, "-c", "\n".join(lines)], cwd=self.place, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        done = self.command(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def agree(self, *flags: str) -> dict[Place, tuple[str, str]]:
        """Plan, then run: both must say the same. Gives each step's state and reason."""
        planned = {place(step): (step["state"], step["why"]) for step in self.json("plan", "--rerun", *flags)["steps"]}
        document = self.json("rerun", *flags)
        assert document["state"] == "succeeded"
        happened = {place(step): (step["state"], step["why"]) for step in document["steps"]}
        assert {
            key: ("will run" if state == "ran" else state, why) for key, (state, why) in happened.items()
        } == planned
        return planned


def that_run(steps: dict[Place, tuple[str, str]]) -> set[Place]:
    return {key for key, (state, _) in steps.items() if state == "will run"}
