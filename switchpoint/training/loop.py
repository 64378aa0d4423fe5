"""What transfer and finetune share: how a model is compiled, and one loop around `model.fit`."""

from __future__ import annotations

import math
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from switchpoint.training.logs import Logs
from switchpoint.training.network import set_precision
from switchpoint.training.replicas import cross_entropy, even_size, for_all
from switchpoint.training.state import State, Training

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import keras

    from switchpoint.documents.training import History, Row
    from switchpoint.training.batches import Feed
    from switchpoint.training.resume import Resume


@dataclass(frozen=True)
class Phase:
    """A training.

    Attributes:
        name: For the lines that it prints.
        epochs: How many.
        batch_size: Photos a step.
        seed: Dropout's draws are a function of it, the epoch, the step and the replica.
        keep_every: Keep the trainable variables of every epoch, not just of the best.
        patience: End after so many epochs in a row without a higher validation accuracy; 0 = never.
        weights: What a photo of each class counts in the loss; None: all the same.
    """

    name: str
    epochs: int
    batch_size: int
    seed: int
    keep_every: bool = False
    patience: int = 0
    weights: Mapping[int, float] | None = None


def deterministic(seed: int) -> None:
    """Make TensorFlow repeat itself to the bit on a CPU; on a GPU as far as its kernels allow."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed % 2**32)
    tf.random.set_seed(max(seed, 1))  # with 0, tf.data refuses to shuffle by a seed that is a tensor
    tf.config.experimental.enable_op_determinism()


def compile_model(
    model: keras.Model,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    label_smoothing: float,
    mixed_precision: str = "off",
) -> None:
    """Adam and categorical cross-entropy.

    Args:
        model: From `network.join`, built and to be compiled in the scope of `replicas.strategy`.
        learning_rate: A number or a schedule.
        label_smoothing: 0 to 1.
        mixed_precision: As `network.set_precision` takes it. Keras then scales the loss by itself.
    """
    import keras

    set_precision(model, mixed_precision)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=cross_entropy(label_smoothing),
        metrics=["categorical_accuracy"],
        jit_compile=False,  # with op determinism Keras would not either
    )
    # Else Keras makes the metrics' variables in the first step, and traces it again. With several replicas it would
    # average their first photos to learn the shapes, and stop where one has more.
    model._symbolic_build(data_batch=(model.input, model.output))
    model._maybe_symbolic_build = lambda **_: None


def fit(model: keras.Model, feed: Feed, phase: Phase, logs: Path, resume: Resume) -> Training:
    """Train a compiled model, and leave it with the best epoch's weights.

    It goes on from the last state that `resume` has and ends, to the bit, as if it had never been interrupted: weights,
    optimizer and measurements are in the state, and every draw is a function of the seed, the epoch and the photo.
    SIGTERM (a spot node that goes) and SIGINT save the state in the middle of an epoch; SIGKILL costs the epoch.

    Args:
        model: From `network.join`, compiled.
        feed: What it sees.
        phase: For how long, and how.
        logs: Directory for TensorBoard.
        resume: Opened for this training.

    Returns:
        The history and the best weights. A loss that is not a number ends the training early, and is a result.
    """
    from switchpoint.training.callbacks import Watch

    steps = steps_per_epoch(feed.photos, phase.batch_size)
    replicas = model.distribute_strategy.num_replicas_in_sync
    held_out = for_all(feed.validation(even_size(feed.held_out, phase.batch_size, replicas)), replicas)
    state = State(model, phase.seed, feed.held_out, resume)
    state.tell(phase.name, steps)
    first_step = state.step
    with _signals(resume.keeps) as signals, Logs(logs, phase.name, state.training, feed.before) as boards:
        while len(state.training.rows) < phase.epochs and not state.training.over(phase.patience):
            done = len(state.training.rows)
            model.fit(
                for_all(feed.training(done + 1).skip(first_step), replicas),
                validation_data=held_out,
                initial_epoch=done,
                epochs=done + 1 if first_step else phase.epochs,
                steps_per_epoch=steps - first_step,
                class_weight=phase.weights,
                shuffle=False,  # the batches come in their order
                verbose=0,
                callbacks=[Watch(phase, state, steps, resume.keeps, boards, signals)],
            )
            first_step = 0
    return state.finish(phase.epochs)


def class_weights(kind: str, photos: Sequence[int]) -> dict[int, float] | None:
    """What a training photo of each class counts in the loss, 1 on average over the photos.

    Args:
        kind: `none`, or `balanced`: each class counts as much in all.
        photos: Training photos of each class; a class may have none.

    Source:
        King and Zeng 2001, Logistic Regression in Rare Events Data (photos / (classes · photos of the class))
    """
    if kind == "none":
        return None
    return {label: sum(photos) / (len(photos) * max(count, 1)) for label, count in enumerate(photos)}


@contextmanager
def _signals(wanted: bool) -> Iterator[list[signal.Signals]]:
    """Collect SIGTERM and SIGINT instead of obeying them at once; the second one is obeyed."""
    received: list[signal.Signals] = []
    before: dict[int, Any] = {}

    def note(number: int, _: Any) -> None:
        received.append(signal.Signals(number))
        signal.signal(number, before[number])

    if wanted and threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def history(
    training: Training, switch_epoch: int, learning_rate: float, seed: int, model_digest: str, start: Row
) -> History:
    """A training as the report reads it.

    Args:
        training: From `fit`.
        switch_epoch: Where it started; 0 for transfer.
        learning_rate: Fine-tuning's highest; 0 for transfer.
        seed: The training's.
        model_digest: Of the best epoch's model.
        start: The row to fall back on when no epoch ended: where it started from.
    """
    best = training.rows[training.best_epoch - 1] if training.best_epoch else start
    return {
        "phase": "finetune" if switch_epoch else "transfer",
        "switch_epoch": switch_epoch,
        "learning_rate": learning_rate,
        "seed": seed,
        "epochs": training.rows,
        "seconds": training.seconds,
        "best_epoch": training.best_epoch,
        "validation_accuracy": best["val_categorical_accuracy"],
        "validation_loss": best["val_loss"],
        "diverged": training.diverged,
        "model_digest": model_digest,
    }


def steps_per_epoch(photos: int, batch_size: int) -> int:
    """Training steps an epoch; the last batch may be smaller."""
    return math.ceil(photos / batch_size)
