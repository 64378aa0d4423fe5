"""A training at one moment: everything that it needs to go on, to the bit, as if it had never been interrupted."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from switchpoint.progress import say
from switchpoint.training.kept import near

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import keras
    import numpy as np

    from switchpoint.documents.training import Divergence, Row
    from switchpoint.training.resume import Resume

    Values = list[np.ndarray[Any, Any]]


@dataclass
class Training:
    """What a phase of training came to, or has come to so far.

    Attributes:
        best: The trainable variables after the best epoch (or at the start).
        rows: An entry an epoch.
        seconds: Wall time of each epoch.
        best_epoch: The last epoch within a standard error of the highest validation accuracy; 0 = none ended.
        every: The trainable variables after each epoch, if they were asked for.
        diverged: Where the loss stopped being a number, or None.
    """

    best: Values
    rows: list[Row] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int = 0
    every: list[Values] = field(default_factory=list)
    diverged: Divergence | None = None

    def over(self, patience: int) -> bool:
        """Whether it ends before its last epoch: it diverged, or has not got better for so many epochs (0: never)."""
        accuracies = [row["val_categorical_accuracy"] for row in self.rows]
        stale = len(accuracies) - 1 - accuracies.index(max(accuracies)) if accuracies else 0
        return self.diverged is not None or 0 < patience <= stale


class State:
    """The variables of a model in training and of its optimizer, dropout's draws, and what was measured.

    Attributes:
        training: What it has come to.
        step: How many steps of the epoch under way were done when it was saved.
        elapsed: How many seconds that took.
    """

    def __init__(self, model: keras.Model, seed: int, held_out: int, resume: Resume) -> None:
        """The state at the start, or the last that `resume` has.

        Args:
            model: Compiled.
            seed: Dropout's draws are a function of it, the epoch, the step and the replica.
            held_out: Validation photos.
            resume: Opened for this training.
        """
        import keras

        self._model, self._seed, self._held_out, self._resume = model, seed, held_out, resume
        dropouts = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
        local = model.distribute_strategy.experimental_local_results
        # Of each replica its own, else all drop the same.
        self._draws = [local(layer.seed_generator.state._value) for layer in dropouts if layer.rate]
        self._weights = model.trainable_variables
        model.optimizer.build(self._weights)
        self.training, self.step, self.elapsed = Training(values(self._weights)), 0, 0.0
        self._midway: dict[str, Values] = {}
        if saved := resume.latest():
            self._restore(*saved)

    def _restore(self, kept: dict[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        groups = _grouped(arrays)
        self.step, self.elapsed = kept.pop("step"), kept.pop("elapsed")
        every = [group for name, group in sorted(groups.items()) if name.startswith("every")]
        self.training = Training(groups["best"], **kept, every=every)
        assign(self._weights, groups["weights"])
        assign(self._model.optimizer.variables, groups["optimizer"])
        self._midway = groups if self.step else {}

    def tell(self, name: str, steps: int) -> None:
        """Say where it goes on, if it does."""
        if self.training.rows or self.step:
            where = f", step {self.step}/{steps}" if self.step else ""
            say(name, f"goes on after epoch {len(self.training.rows)}{where}: an earlier step trained that")

    def save(self, step: int, elapsed: float) -> None:
        """Keep it where it outlives this process: after `step` steps of an epoch, 0 = after the epoch before."""
        training = self.training
        groups = {
            "weights": values(self._weights),
            "optimizer": values(self._model.optimizer.variables),
            "best": training.best,
        }
        groups |= {f"every-{number:04d}": group for number, group in enumerate(training.every)}
        if step:
            groups |= {
                "metrics": values(self._model.metrics_variables),
                "draws": values(itertools.chain(*self._draws)),
            }
        kept = {"rows": training.rows, "seconds": training.seconds, "best_epoch": training.best_epoch}
        arrays = {f"{name}/{number:04d}": value for name, group in groups.items() for number, value in enumerate(group)}
        self._resume.save(len(training.rows), step, kept | {"step": step, "elapsed": elapsed}, arrays)

    def begin(self, epoch: int) -> tuple[int, float]:
        """Set what an epoch begins with; gives the steps and the seconds of it that are over already."""
        self.set_draws(epoch)
        if not self._midway:
            return 0, 0.0
        assign(itertools.chain(*self._draws), self._midway["draws"])
        assign(self._model.metrics_variables, self._midway["metrics"])
        self._midway = {}
        return self.step, self.elapsed

    def set_draws(self, epoch: int) -> None:
        """Dropout's generators as they are when `epoch`, from 0, begins."""
        for number, states in enumerate(self._draws):
            for replica, state in enumerate(states):
                state.assign([(self._seed + 100 * replica + number) % 2**32, epoch])

    def add(self, row: Row, seconds: float, keep_variables: bool) -> None:
        """An epoch is over."""
        training = self.training
        training.rows.append(row)
        training.seconds.append(round(seconds, 3))
        highest = max(each["val_categorical_accuracy"] for each in training.rows)
        if near(row["val_categorical_accuracy"], highest, self._held_out):
            training.best_epoch, training.best = row["epoch"], values(self._weights)
        if keep_variables:
            training.every.append(values(self._weights))

    def finish(self, epochs: int) -> Training:
        """Leave the model with the best epoch's variables, and draws that are the same whatever ran before."""
        assign(self._weights, self.training.best)
        self.set_draws(epochs)  # they are saved with a model
        return self.training


def values(variables: Iterable[Any]) -> Values:
    """Variables as arrays."""
    return [variable.numpy() for variable in variables]


def assign(variables: Iterable[Any], arrays: Iterable[Any]) -> None:
    """Give variables the values of as many arrays."""
    for variable, value in zip(variables, arrays, strict=True):
        variable.assign(value)


def _grouped(arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Values]:
    """`group/0000` … as a list a group."""
    groups: dict[str, Values] = {}
    for name in sorted(arrays):
        groups.setdefault(name.partition("/")[0], []).append(arrays[name])
    return groups
