"""Results of single trainings, in a file that only grows, so that a killed search goes on where it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from bench.better.folds import FOLDS, folds

if TYPE_CHECKING:
    from pathlib import Path

    from bench.better.candidates import Settings
    from switchpoint.documents.evaluation import Evaluation
    from switchpoint.documents.training import History

FILE = "cells.jsonl"


class Cell(TypedDict):
    """What was trained: `switch_epoch` 0 is transfer learning alone."""

    fold: int
    seed: int
    switch_epoch: int
    candidate: str


class Result(TypedDict):
    """What a cell came to: `correct` has a 1 or a 0 for each held-out photo, loss is in nats a photo."""

    cell: Cell
    settings: dict[str, Any]
    correct: list[int]
    loss: float
    history: History
    seconds: float


class Results:
    """The cells done with the same settings."""

    def __init__(self, file: Path, settings: Settings) -> None:
        self.file, self.seeds = file, settings.seeds
        self.settings = settings.shared()
        self.rows: list[Result] = []
        if file.exists():
            # Without its end, the last line is one that another process is just writing.
            lines = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
            rows = [json.loads(line) for line in lines]
            # Cells name their seed, so another list of seeds uses what is there.
            self.rows = [row for row in rows if row["settings"] == self.settings and row["cell"]["seed"] in self.seeds]

    def find(self, cell: Cell) -> Result | None:
        return next((row for row in self.rows if row["cell"] == cell), None)

    def add(self, cell: Cell, evaluation: Evaluation, history: History, seconds: float) -> None:
        """Append, and keep what the tables need."""
        row: Result = {
            "cell": cell,
            "settings": self.settings,
            "correct": [int(a == b) for a, b in zip(evaluation["labels"], evaluation["predicted"], strict=True)],
            "loss": evaluation["loss"],
            "history": history,
            "seconds": round(seconds, 1),
        }
        # In one write, so that the lines of two processes are not mixed.
        with self.file.open("ab", buffering=0) as file:
            file.write(json.dumps(row).encode() + b"\n")
        self.rows.append(row)

    def right(self, tried: str, switch_epoch: int) -> np.ndarray[Any, Any]:
        """Whether each held-out photo was named right: 0.0 or 1.0 (seeds, photos), all folds one after the other."""
        of_seeds = [
            np.concatenate([self._row(tried, switch_epoch, fold, seed)["correct"] for fold in folds()])
            for seed in self.seeds
        ]
        return np.array(of_seeds, float)

    def loss(self, tried: str, switch_epoch: int) -> float:
        losses = [self._row(tried, switch_epoch, fold, seed)["loss"] for fold in folds() for seed in self.seeds]
        return float(np.mean(losses))

    def diverged(self, tried: str) -> int:
        return sum(bool(row["history"]["diverged"]) for row in self.rows if row["cell"]["candidate"] == tried)

    def complete(self, tried: str) -> bool:
        wanted = FOLDS * len(self.seeds) * len(self.settings["switch_epochs"])
        found = [row for row in self.rows if row["cell"]["candidate"] == tried and row["cell"]["switch_epoch"]]
        return len(found) == wanted

    def _row(self, tried: str, switch_epoch: int, fold: int, seed: int) -> Result:
        row = self.find({"fold": fold, "seed": seed, "switch_epoch": switch_epoch, "candidate": tried})
        if row is None:
            raise LookupError(f"No result of {tried} from epoch {switch_epoch}, fold {fold}, seed {seed}.")
        return row
