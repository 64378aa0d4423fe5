"""Results of single trainings, in a file that only grows, so that a killed experiment goes on where it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from bench.pixels.heads import Answers


class Cell(TypedDict):
    """One training: by the source of the test photos' pixels, what its head says of them."""

    settings: dict[str, Any]
    seed: int
    source: str
    tested_on: dict[str, Answers]


class Cells:
    """The trainings with the same settings."""

    def __init__(self, file: Path, settings: dict[str, Any]) -> None:
        self.file, self.settings = file, settings
        rows: list[Cell] = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        self._found = {(row["seed"], row["source"]): row["tested_on"] for row in rows if row["settings"] == settings}

    def has(self, seed: int, source: str, tested_on: Collection[str] = ()) -> bool:
        """Whether there is such a training, tested on all of these."""
        return (seed, source) in self._found and set(tested_on) <= set(self._found[seed, source])

    def add(self, seed: int, source: str, tested_on: dict[str, Answers]) -> None:
        row: Cell = {"settings": self.settings, "seed": seed, "source": source, "tested_on": tested_on}
        with self.file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self._found[seed, source] = tested_on

    def values(self, measure: str, seeds: list[int], source: str, tested_on: str) -> np.ndarray[Any, Any]:
        """`correct` or `loss`: (seeds, photos)."""
        found: list[Any] = [self._found[seed, source][tested_on] for seed in seeds]
        return np.array([each[measure] for each in found], float)
