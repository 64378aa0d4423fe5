"""A training's epochs while it goes on: TensorBoard's logs, under the names that Keras gives its scalars, and MLflow.

Epochs count from 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from switchpoint.tracking import Tracker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from switchpoint.documents.training import Row
    from switchpoint.training.state import Training


class Logs:
    """Scalars of train and validation. As a context: left, MLflow has been told all, or has not answered."""

    def __init__(self, directory: Path, name: str, training: Training, before: Sequence[float]) -> None:
        """Begin them.

        Args:
            directory: Gets `train` and `validation`.
            name: The training's, for the lines that it prints.
            training: Has the epochs that are over already.
            before: Seconds that the first epochs took before they began.
        """
        import tensorflow as tf

        self.tracker, self.before = Tracker(name), before
        self.writers = {
            prefix: tf.summary.create_file_writer(str(directory / split))
            for prefix, split in (("", "train"), ("val_", "validation"))
        }
        for row, seconds in zip(training.rows, training.seconds, strict=True):
            self.add(row, seconds)

    def add(self, row: Row, seconds: float) -> None:
        """Write an epoch; `seconds` is its wall time."""
        import tensorflow as tf

        values = dict(row)
        for prefix, writer in self.writers.items():
            with writer.as_default(row["epoch"]):
                for name in ("loss", "categorical_accuracy", "learning_rate"):
                    if prefix + name in values:
                        tf.summary.scalar(f"epoch_{name}", values[prefix + name])
            writer.flush()
        self.tracker.epoch(row, seconds + sum(self.before[row["epoch"] - 1 : row["epoch"]]))

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for MLflow: see `Tracker.close`."""
        self.tracker.close()
