"""What the report compares: starts, each with a training a seed."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

from switchpoint.training.rungs import preference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from switchpoint.documents.evaluation import Evaluation
    from switchpoint.documents.results import Gain, Result, Results, StartResult
    from switchpoint.documents.training import History, Search


class Training(NamedTuple):
    """One training: a start under one seed.

    Attributes:
        result: What it came to.
        history: A row an epoch.
        evaluation: What its model does on the test photos.
        model: `.keras` file.
    """

    result: Result
    history: History
    evaluation: Evaluation
    model: Path


@dataclass
class Start:
    """Where fine-tuning starts, or transfer learning alone.

    Attributes:
        trainings: At the learning rate that validation prefers: a seed each, in the order of the seeds.
        tried: The same at every learning rate, ascending.
        gain: Test accuracy, meant over seeds, less that of transfer learning alone; None for that itself.
    """

    trainings: Sequence[Training]
    tried: Sequence[Sequence[Training]]
    gain: Gain | None = None

    @classmethod
    def at_its_best(cls, tried: Sequence[Sequence[Training]]) -> Start:
        """A start at the learning rate with the highest validation accuracy, meant over seeds."""
        return cls(min(tried, key=lambda trained: rank(_held_out_right(trained), trained)), tried)

    @property
    def learning_rate(self) -> float | None:
        """Fine-tuning's; None for transfer learning alone."""
        return self.trainings[0].result["learning_rate"]

    @property
    def switch_epoch(self) -> int | None:
        """None is transfer learning alone."""
        return self.trainings[0].result["switch_epoch"]

    @property
    def diverged(self) -> bool:
        """Whether any seed's training did."""
        return any(each.result["diverged"] for each in self.trainings)

    @property
    def sound(self) -> Sequence[Training]:
        """The trainings that curves are meant over: those that did not diverge, if there are any."""
        return [each for each in self.trainings if not each.result["diverged"]] or self.trainings

    def published(self) -> Training:
        """The training whose model is kept if this start is chosen: the best by validation."""
        return min(self.trainings, key=lambda each: preference(each.history))

    def summary(self) -> StartResult:
        """Its numbers, meant over the seeds."""
        rows = [each.result for each in self.trainings]
        return {
            "switch_epoch": self.switch_epoch,
            "learning_rate": self.learning_rate,
            "seeds": [row["seed"] for row in rows],
            "validation_accuracy": mean(row["validation_accuracy"] for row in rows),
            "test_accuracy": mean(row["test_accuracy"] for row in rows),
            "test_top_5": mean(row["test_top_5"] for row in rows),
            "test_loss": mean(row["test_loss"] for row in rows),
            "gain": self.gain,
            "diverged": sum(row["diverged"] for row in rows),
            "seconds": round(mean(row["seconds"] for row in rows), 1),
        }


class Comparison(NamedTuple):
    """What is compared, and what came of it.

    Attributes:
        document: What report/results holds.
        chosen: The recommended start's number.
        best: The training whose model is kept.
        starts: Transfer learning alone first, then the fine-tunings in the order of their switch epochs.
        search: What became of all candidates, where these were searched.
    """

    document: Results
    chosen: int
    best: Training
    starts: Sequence[Start]
    search: Search | None = None

    @property
    def seeds(self) -> int:
        """How many."""
        return len(self.starts[0].trainings)


def rank(right: int, trainings: Sequence[Training]) -> tuple[int, float, float]:
    """Smallest for the best of several that have the same seeds: as `preference`, of all seeds' photos together.

    Args:
        right: Validation photos that were named right: means of equals would differ in their last bit.
        trainings: A seed each.
    """
    orders = [preference(each.history) for each in trainings]
    return -right, mean(loss for _, loss, _ in orders), mean(epochs for _, _, epochs in orders)


def _held_out_right(trainings: Sequence[Training]) -> int:
    held_out = [each.evaluation["validation"] for each in trainings]
    return sum(sum(map(int.__eq__, each["labels"], each["predicted"])) for each in held_out)


def over_seeds(series: Sequence[Sequence[float]]) -> list[list[float]]:
    """For each epoch the values of the seeds that came so far: one that diverged ends early."""
    longest = max(map(len, series), default=0)
    return [[each[number] for each in series if number < len(each)] for number in range(longest)]
