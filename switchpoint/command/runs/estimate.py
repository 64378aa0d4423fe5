"""How long a run will take: as long as steps of earlier runs here took, or by measured rates where none is like it.

A step's cost is its seconds on the whole machine: of two that ran side by side, half of theirs. So the costs of all
steps add up to the run's seconds, whether they will run side by side or not.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from switchpoint.cores import cores
from switchpoint.data import sources
from switchpoint.errors import SwitchpointError
from switchpoint.training.rungs import TENTHS, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switchpoint.command.documents import Run, Step
    from switchpoint.documents.lineage import Parameters
    from switchpoint.documents.records import Manifest

ALIKE = 4  # times as much work, or as little: beyond, what a step needs to start is taken for its work
# `make bench`'s on two cores, EfficientNet-Lite0: see README, How fast.
RATES = {
    "prepare": 2.8 / 1200,  # seconds a photo
    "transfer": 13.7 / (900 * 4 * 160**2),  # a photo and pixel, 4 views at 160 px
    "finetune": 1 / (61 * 224**2),  # a photo, epoch and pixel
    "evaluate": 1 / (182 * 224**2),
}
RATED_CORES = 2
START = 5.0  # seconds until TensorFlow has been imported and has its graph
REST = 2.0  # seconds of collect, of report
TRAIN, TEST, HELD_OUT = 0.72, 0.2, 0.28  # shares of a dataset without a split of its own
SAMPLED, CORRUPTIONS = 500, 15  # test photos that evaluate tries under so many corruptions


def expect(steps: Sequence[Step], parameters: Parameters, earlier: Sequence[Run]) -> None:
    """Note at each step that will run what it will cost, where that can be told.

    Args:
        steps: From a plan.
        parameters: The run's.
        earlier: Documents of earlier runs, newest first.
    """
    if not any(step["state"] == "will run" for step in steps):
        return
    counts = {run["id"]: _prepared(run) for run in earlier}
    same = (counts[run["id"]] for run in earlier if _digest(run["parameters"]) == _digest(parameters))
    photos = next(filter(None, same), None) or _counted(parameters)
    if photos is None:
        return
    machine = cores()
    known = [
        (
            step["name"],
            work(step["name"], run["parameters"], count) * _share(step, run["parameters"]),
            _cost(step, run),
        )
        for run in earlier
        if (count := counts[run["id"]]) and _alike(run, parameters, machine)
        for step in run["steps"]
        if step["state"] == "ran"
    ]
    for step in steps:
        if step["state"] == "will run":
            amount = work(step["name"], parameters, photos) * _share(step, parameters)
            near = [
                (abs(math.log(amount / done)), amount / done * cost)
                for name, done, cost in known
                if name == step["name"]
            ]
            distance, cost = min(near, key=lambda each: each[0], default=(math.inf, 0.0))
            measured = distance <= math.log(ALIKE)
            cost = cost if measured else _rated(step["name"], amount, machine)
            step["expected"] = round(step.get("at_most", 1) * cost, 1)
            step["expected_by"] = "earlier runs" if measured else "rates"


def work(step: str, parameters: Parameters, photos: int) -> float:
    """What a step's seconds grow with: photos, pixels that go through the network, or nothing."""
    pixels = float(parameters["image_size"] ** 2)
    if step == "prepare":
        return photos
    if step == "transfer":
        return TRAIN * photos * pixels * int(parameters["feature_views"] or parameters["transfer_epochs"])
    if step == "finetune":
        return TRAIN * photos * pixels * int(parameters["finetune_epochs"])
    if step == "evaluate":
        test = TEST * photos
        tried = {"off": 0.0, "sample": min(SAMPLED, test), "full": test}[parameters["robustness"]]
        return (HELD_OUT * photos + CORRUPTIONS * tried) * pixels
    return 1.0


def _share(step: Step, parameters: Parameters) -> float:
    """Of a fine-tuning's epochs those that a step of a search trains: what the rung before left it goes on from."""
    if step["name"] != "finetune" or parameters.get("search") != "halving":
        return 1.0
    if step["seed"] != min(parameters["seeds"]):
        return 1.0  # the search is of the lowest
    epochs, rung = int(parameters["finetune_epochs"]), step.get("rung") or 0
    before = (rung or len(TENTHS) + 1) - 1
    trained = until(epochs, rung) - (until(epochs, before) if before else 0)
    return max(trained, 0.1) / epochs


def _rated(step: str, amount: float, machine: int) -> float:
    if step not in RATES:
        return REST
    return START * (step != "prepare") + amount * RATES[step] * RATED_CORES / machine


def _alike(run: Run, parameters: Parameters, machine: int) -> bool:
    same = all(run["parameters"].get(name) == parameters[name] for name in ("backbone", "mixed_precision"))
    return same and run.get("cores") == machine


def _cost(step: Step, run: Run) -> float:
    """Its seconds, less what others took of the machine while it ran."""
    seconds = step["seconds"] or 0.0
    own = _times(step)
    beside = sum(
        _overlap(own, _times(other)) for other in run["steps"] if other is not step and other["state"] == "ran"
    )
    return seconds / (1 + beside / seconds) if seconds else 0.0


def _times(step: Step) -> tuple[float, float]:
    began, ended = (datetime.fromisoformat(time).timestamp() for time in (step["started"], step["ended"] or ""))
    return began, ended


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def _digest(parameters: Parameters) -> str:
    return str(parameters.get("dataset_digest"))


def _prepared(run: Run) -> int | None:
    """How many photos a run's records have, if they are there."""
    records = [step["outputs"]["records"] for step in run["steps"] if "records" in step.get("outputs", {})]
    try:
        manifest: Manifest = json.loads(Path(records[0], "manifest.json").read_text(encoding="utf-8"))
        return sum(split["photos"] for split in manifest["splits"].values())
    except (OSError, ValueError, LookupError):
        return None


def _counted(parameters: Parameters) -> int | None:
    """Photos of a dataset that can be counted without being read: a folder's, and the sample's."""
    dataset = parameters["dataset"]
    if dataset != "sample" and not Path(dataset).is_dir():
        return None
    try:
        return sources.find(dataset).open().count or None
    except SwitchpointError:  # prepare says what is wrong with it
        return None
