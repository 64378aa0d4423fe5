"""Runs beside one another: the parameters that differ, the results, and what the same test photos say of them.

A difference is claimed where it is one of the same photos, and under the same seeds: then each photo, and each seed, is
compared with itself. Test photos that a run has in training or validation, too, are left out of it. Elsewhere there are
figures and no claim.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from components.report.starts import Start
from components.report.step import read, right
from components.report.verdict import points
from switchpoint.command.errors import ArtifactGoneError, NoModelError
from switchpoint.command.runs.artifacts import metadata
from switchpoint.data.manifest import read_manifest
from switchpoint.inference import LEVEL, differences

if TYPE_CHECKING:
    from components.report.starts import Training
    from switchpoint.command.documents import Compared, ComparedRun, Run, RunsApart
    from switchpoint.documents.records import Manifest
    from switchpoint.documents.results import StartResult

Line = int | Literal["recommended"] | None  # of which a run has one start; a number is a switch epoch


@dataclass
class Side:
    """A run with all that is compared of it.

    Attributes:
        document: Its.
        starts: As the report reads them.
        records: Its photos.
        leaked: Places of the test photos of which its training or validation photos have a copy.
    """

    document: Run
    starts: Sequence[Start]
    records: Manifest
    leaked: Sequence[int] = ()

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.document.get("name") or self.document["id"]

    @property
    def recommended(self) -> int | None:
        """The switch epoch that validation recommends."""
        return self.document["verdict"]["recommended"]

    def at(self, line: Line) -> Start | None:
        """The run's start on a line, if it has it."""
        wanted = self.recommended if line == "recommended" else line
        return next((start for start in self.starts if start.switch_epoch == wanted), None)


def open_run(document: Run) -> Side:
    """Read what a run's trainings came to.

    Raises:
        NoModelError: The run did not succeed.
        ArtifactGoneError: What it made is gone, or was changed.
    """
    if document["state"] != "succeeded":
        raise NoModelError(f"Run {document['id']} {document['state']}: only runs that succeeded can be compared.")
    steps = [step["outputs"] for step in document["steps"]]
    trainings = [Path(outputs["trainings"]) for outputs in steps if "trainings" in outputs]
    (prepared,) = (outputs for outputs in steps if "records" in outputs)
    try:
        return Side(
            document,
            read({path: (metadata(path) or {}).get("digest", "") for path in trainings}),
            read_manifest(Path(prepared["records"])),
            json.loads(Path(prepared["source"]).read_text(encoding="utf-8"))["leaked"],
        )
    except OSError as error:
        raise ArtifactGoneError(f"{error.filename} is gone. Run the pipeline again to have it back.") from error


def compare(sides: Sequence[Side]) -> Compared:
    """Set runs beside the first of them.

    Args:
        sides: Two or more.
    """
    seeds = sorted(set.intersection(*({each.result["seed"] for each in side.starts[0].trainings} for side in sides)))
    why = _why_unpaired(sides, seeds)
    epochs = sorted({start.switch_epoch or 0 for side in sides for start in side.starts})
    lines: list[Line] = ["recommended", *(epoch or None for epoch in epochs)]
    return {
        "runs": [_run(side) for side in sides],
        "parameters": _parameters([side.document for side in sides]),
        "starts": [
            {
                "switch_epoch": epoch or None,
                "learning_rate": [row["learning_rate"] if row else None for row in _row(sides, epoch or None)],
                "test_accuracy": [row["test_accuracy"] if row else None for row in _row(sides, epoch or None)],
                "validation_accuracy": [
                    row["validation_accuracy"] if row else None for row in _row(sides, epoch or None)
                ],
            }
            for epoch in epochs
        ],
        "paired": not why,
        "why_not": why,
        "seeds": seeds,
        "leaked": 0 if why else len(_leaked(sides)),
        "differences": [] if why else _apart(sides, lines, seeds),
    }


def _row(sides: Sequence[Side], line: Line) -> list[StartResult | None]:
    return [start.summary() if (start := side.at(line)) else None for side in sides]


def _run(side: Side) -> ComparedRun:
    test, start = side.records["splits"]["test"]["photos"], side.at("recommended")
    summary = start.summary() if start else side.starts[0].summary()
    return {
        "id": side.document["id"],
        "name": side.document.get("name"),
        "recommended": side.recommended,
        "test_accuracy": summary["test_accuracy"],
        "validation_accuracy": summary["validation_accuracy"],
        "test_photos": test,
        "leaked": len(side.leaked),
        "seeds": summary["seeds"],
        "training_seconds": round(
            sum(each.result["seconds"] for one in side.starts for tried in one.tried for each in tried), 1
        ),
        "curves": {"transfer": _curve(side.starts[0]), "finetune": _curve(start) if start and side.recommended else []},
    }


def _curve(start: Start) -> list[float]:
    """Validation accuracy an epoch, meant over the seeds that came so far."""
    series = [[row["val_categorical_accuracy"] for row in each.history["epochs"]] for each in start.sound]
    longest = max(map(len, series), default=0)
    return [mean(each[number] for each in series if number < len(each)) for number in range(longest)]


def _parameters(documents: Sequence[Run]) -> dict[str, list[Any]]:
    """Values of what is not alike in all, by name; of a step's code and packages the digests."""
    values = [dict(document["parameters"]) for document in documents]
    for found, document in zip(values, documents, strict=True):
        for step in document["steps"]:
            found[f"code of {step['name']}"] = step["image"].rpartition("-")[2]
            if packages := step.get("packages"):
                found["packages"] = packages[:12]
    names = dict.fromkeys(name for found in values for name in found)
    rows = {name: [found.get(name) for found in values] for name in names}
    return {name: row for name, row in rows.items() if len({json.dumps(value) for value in row}) > 1}


def _why_unpaired(sides: Sequence[Side], seeds: Sequence[int]) -> str:
    """Why nothing is claimed of a difference; empty: the test photos are the same, and there are seeds to pair."""
    first = sides[0]
    for side in sides[1:]:
        if not _same_photos(first, side):
            return (
                f"{side.name} was tested on other photos than {first.name}, or on photos that are not known to be the "
                "same: figures stand beside each other, and no difference is claimed."
            )
    if len(_leaked(sides)) == first.records["splits"]["test"]["photos"]:
        return "Every test photo is in training or validation of one of the runs, too: no difference is claimed."
    return "" if seeds else "The runs have no seed in common: no difference is claimed."


def _leaked(sides: Sequence[Side]) -> list[int]:
    """The test photos that a run may have learnt by heart: of the others alone is a difference claimed."""
    return sorted({place for side in sides for place in side.leaked})


def _same_photos(one: Side, other: Side) -> bool:
    """Whether the test photos are the same, in the same order.

    They are where the records of them are, to the byte. At another size they are not the same bytes: then they come
    from the same photos by the same seed, and the same ones were left out.
    """
    answers = [side.starts[0].trainings[0].evaluation["labels"] for side in (one, other)]
    if answers[0] != answers[1] or one.records["classes"] != other.records["classes"]:
        return False
    shards = [[shard["sha256"] for shard in side.records["splits"]["test"]["shards"]] for side in (one, other)]
    drawn = [
        (side.records["source"]["digest"], side.records["seed"], side.records["left_out"]) for side in (one, other)
    ]
    return shards[0] == shards[1] or drawn[0] == drawn[1]


def _apart(sides: Sequence[Side], lines: Sequence[Line], seeds: Sequence[int]) -> list[RunsApart]:
    """Each run against the first, on each line that both have: recommended starts, and each start.

    All intervals hold at once: those of a line by themselves, and the lines by Bonferroni's share of the level. A
    difference goes by its own variance from seed to seed, for other runs need not vary alike.
    """
    rows = {line: [(side, start) for side in sides if (start := side.at(line))] for line in lines}
    pairs = {
        line: [(number, 0) for number in range(1, len(row)) if _worth_it(line, row[number], row[0], seeds)]
        for line, row in rows.items()
        if row and row[0][0] is sides[0]
    }
    compared = {line: of_line for line, of_line in pairs.items() if of_line}
    found: list[RunsApart] = []
    for line, of_line in compared.items():
        answers = np.array([[right(each.evaluation) for each in _under(start, seeds)] for _, start in rows[line]])
        every = range(len(answers))
        unseen = np.delete(answers, _leaked(sides), axis=2)
        for each in differences(unseen, of_line, LEVEL / len(compared), unsteady=every):
            run = rows[line][each.start][0].document["id"]
            found.append({"start": line, "run": run, "against": sides[0].document["id"], **points(each)})
    return found


def _worth_it(line: Line, one: tuple[Side, Start], other: tuple[Side, Start], seeds: Sequence[int]) -> bool:
    """Whether two runs' starts are other models, and not compared as the recommended ones already."""
    if line != "recommended" and line == one[0].recommended == other[0].recommended:
        return False
    models = [[each.result["model_digest"] for each in _under(start, seeds)] for _, start in (one, other)]
    return models[0] != models[1]  # else the run took them from the other


def _under(start: Start, seeds: Sequence[int]) -> list[Training]:
    """A start's trainings of these seeds, in their order."""
    return [each for each in start.trainings if each.result["seed"] in seeds]
