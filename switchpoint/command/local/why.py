"""Why a step runs: what differs from the runs before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchpoint.command.runs.steps import place

if TYPE_CHECKING:
    from switchpoint.command.documents import Run, Step


_ALWAYS = {"drift": "the photos are looked at each time", "promote": "the registry is asked each time"}
_UNDER_WAY = {"running": "run {} is making it now", "interrupted": "run {} was interrupted while it made it"}


def explain(step: Step, earlier: list[Run]) -> str:
    """In a few words, against the most similar step of an earlier run.

    Args:
        step: The step that is not cached.
        earlier: Documents of earlier runs, newest first.
    """
    if step["name"] in _ALWAYS:
        return _ALWAYS[step["name"]]
    for document in earlier:
        for old in document["steps"]:
            if place(old) == place(step) and old["state"] in _UNDER_WAY and not differences(step, old):
                return _UNDER_WAY[old["state"]].format(document["id"])
    if (step["switch_epoch"] or 0) < 0:
        return "which ones, the rung before will say"
    same_name = [
        old
        for document in earlier
        for old in document["steps"]
        if old["name"] == step["name"] and old["state"] in ("ran", "cached")
    ]
    if not same_name:
        return "first run"
    same_seed = [old for old in same_name if old["seed"] == step["seed"]]
    if not same_seed:
        return "new seed"
    same_start = [old for old in same_seed if old["switch_epoch"] == step["switch_epoch"]]
    if not same_start:
        return "new switch epoch"
    same_place = [old for old in same_start if place(old) == place(step)]
    if not same_place:
        rates = {old["learning_rate"] for old in same_start}
        return "goes on" if step["learning_rate"] in rates else "new learning rate"
    return "; ".join(sorted((differences(step, old) for old in same_place), key=len)[0]) or "its outputs are gone"


def differences(step: Step, old: Step) -> list[str]:
    """What of a step's image, packages, parameters and inputs is not as it was."""
    found = []
    if step["image"] != old["image"]:
        found.append("code changed")
    if step.get("packages") != old.get("packages"):
        found.append("packages changed")
    for name, value in step["parameters"].items():
        before = old["parameters"].get(name)
        if value == before:
            continue
        if name in ("dataset", "dataset_digest"):
            found.append("dataset changed")
        elif name == "weights_digest":
            found.append("weights changed")
        elif name == "meanings":
            found.append("what it says of parameters changed")
        else:
            found.append(f"{name} changed from {before} to {value}")
    if step["inputs"] != old["inputs"]:
        found.append("input changed")
    return list(dict.fromkeys(found))
