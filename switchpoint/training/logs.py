"""TensorBoard's logs, under the names that Keras gives its scalars; epochs count from 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from switchpoint.documents.training import Row


class Logs:
    """Scalars of train and validation."""

    def __init__(self, directory: Path, rows: Iterable[Row]) -> None:
        """Begin them.

        Args:
            directory: Gets `train` and `validation`.
            rows: The epochs that are over already.
        """
        import tensorflow as tf

        self.writers = {
            prefix: tf.summary.create_file_writer(str(directory / split))
            for prefix, split in (("", "train"), ("val_", "validation"))
        }
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Write an epoch."""
        import tensorflow as tf

        values = dict(row)
        for prefix, writer in self.writers.items():
            with writer.as_default(row["epoch"]):
                for name in ("loss", "categorical_accuracy", "learning_rate"):
                    if prefix + name in values:
                        tf.summary.scalar(f"epoch_{name}", values[prefix + name])
            writer.flush()
