"""What happens between the steps of a training and between its epochs."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any

import keras

from switchpoint.progress import Progress, say

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

    from switchpoint.documents.training import Row
    from switchpoint.training.logs import Logs
    from switchpoint.training.loop import Phase
    from switchpoint.training.state import State

MEASURED = {  # what a person reads, and what Keras calls it
    "loss": "loss",
    "accuracy": "categorical_accuracy",
    "val_loss": "val_loss",
    "val_accuracy": "val_categorical_accuracy",
}


class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Measures each epoch, keeps the state, and ends a training that diverges or that was told to stop."""

    def __init__(
        self, phase: Phase, state: State, steps: int, keeps: bool, boards: Logs, signals: Sequence[signal.Signals]
    ) -> None:
        """Watch one call of `fit`.

        Args:
            phase: What is trained.
            state: Changed with each epoch.
            steps: Of a whole epoch.
            keeps: Whether the state is saved.
            boards: TensorBoard's logs.
            signals: Grows while it trains: the first one that came ends the training.
        """
        super().__init__()
        self.phase, self.state, self.steps, self.keeps = phase, state, steps, keeps
        self.boards, self.signals = boards, signals

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Epochs are from 0 here, as Keras counts."""
        self.epoch = epoch + 1
        self.before, elapsed = self.state.begin(epoch)
        self.started = time.monotonic() - elapsed

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """`batch` counts from where this call of `fit` began."""
        step = self.before + batch + 1
        if not math.isfinite(logs["loss"]):
            self._diverge(step)
        elif self.signals and step < self.steps:
            self.state.save(step, time.monotonic() - self.started)
            self._stop()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measure, keep, tell."""
        if not self.state.training.diverged and not math.isfinite(logs["val_loss"]):
            self._diverge(self.steps)
        if self.state.training.diverged:
            return
        row: Row = {
            "epoch": self.epoch,
            "loss": float(logs["loss"]),
            "categorical_accuracy": float(logs["categorical_accuracy"]),
            "val_loss": float(logs["val_loss"]),
            "val_categorical_accuracy": float(logs["val_categorical_accuracy"]),
            "learning_rate": float(self.model.optimizer.learning_rate),
        }
        self.state.add(row, time.monotonic() - self.started, self.phase.keep_every)
        if self.keeps:
            self.state.save(0, 0.0)
        seconds = self.state.training.seconds
        self.boards.add(row, seconds[-1])
        left = round(sum(seconds) / len(seconds) * (self.phase.epochs - self.epoch))
        measured = {title: float(logs[key]) for title, key in MEASURED.items()}
        say(self.phase.name, Progress("epoch", self.epoch, self.phase.epochs, left, measured))
        if self.state.training.over(self.phase.patience) and self.epoch < self.phase.epochs:
            say(self.phase.name, f"ends early: no higher validation accuracy in {self.phase.patience} epochs")
            self.model.stop_training = True
        elif self.signals:
            self._stop()

    def _diverge(self, step: int) -> None:
        rate = float(self.model.optimizer.learning_rate)
        self.state.training.diverged = {"epoch": self.epoch, "step": step, "learning_rate": rate}
        say(self.phase.name, f"diverged in epoch {self.epoch}, step {step}, at learning rate {rate:g}")
        self.model.stop_training = True

    def _stop(self) -> None:
        number = self.signals[0]
        say(self.phase.name, f"stopped by {number.name}; the state is kept, the same run goes on from it")
        sys.exit(128 + number)
