"""What transfer and finetune share: the head, and one loop around `model.fit`."""

import functools
import itertools
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from switchpoint.data.manifest import read_manifest
from switchpoint.training.resume import Resume

Row = dict[str, float]
Weights = list[Any]  # of numpy arrays


def deterministic(seed: int) -> None:
    """Make TensorFlow repeat itself to the bit on a CPU; on a GPU as far as its kernels allow."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.random.set_seed(max(seed, 1))  # with 0, tf.data refuses to shuffle by a seed that is a tensor
    tf.config.experimental.enable_op_determinism()


def head(backbone: Any, classes: int, dropout: float) -> Any:
    """A new head for a backbone: global average pooling, dropout, dense softmax."""
    import keras

    features = keras.Input(backbone.output.shape[1:], name="features")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="classes")(x)
    return keras.Model(features, outputs, name="head")


def join(backbone: Any, top: Any) -> Any:
    """Backbone and head as one model: RGB in [0, 255], (batch, size, size, 3), to probabilities (batch, classes).

    The backbone's stochastic depth is switched off: inside `fit` Keras 3 would leave it on even while it is frozen,
    whatever `training=` says.
    """
    import keras

    for layer in backbone._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    photos = keras.Input(backbone.input.shape[1:], name="photos")
    return keras.Model(photos, top(backbone(photos)), name="classifier")


@functools.cache  # two in one process would get the same keys for what their replicas exchange
def strategy() -> Any:
    """Where to build and compile a model: on every GPU when there are several, a batch's photos split among them.

    Without a GPU the CPU's logical devices count, of which there is one, unless a test asks for more.
    """
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def gains_from_mixed_precision() -> bool:
    """Whether all GPUs here, if there are any, have float16 tensor cores: compute capability 7.0, Volta, or later."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return bool(gpus) and all(each.get("compute_capability", (0, 0)) >= (7, 0) for each in details)


def set_precision(model: Any, mixed_precision: str) -> None:
    """Compute in float32 or mixed_float16, but the softmax in float32; weights stay float32. Compile afterwards.

    Args:
        model: From `join`.
        mixed_precision: on, off, or auto: see `gains_from_mixed_precision`.
    """
    mixed = gains_from_mixed_precision() if mixed_precision == "auto" else mixed_precision == "on"
    policy = "mixed_float16" if mixed else "float32"
    for layer in model._flatten_layers():
        if layer.name != "classes":
            layer.dtype_policy = policy


def compile_model(model: Any, learning_rate: Any, label_smoothing: float, mixed_precision: str = "off") -> None:
    """Adam and categorical cross-entropy.

    Args:
        model: From `join`, built and to be compiled in the scope of `strategy`.
        learning_rate: A number or a schedule.
        label_smoothing: 0 to 1.
        mixed_precision: As `set_precision` takes it. Keras then scales the loss by itself.
    """
    import keras
    import tensorflow as tf

    set_precision(model, mixed_precision)
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    loss = _replica_loss() if several else keras.losses.CategoricalCrossentropy
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=loss(label_smoothing=label_smoothing),
        metrics=["categorical_accuracy"],
        jit_compile=False,  # with op determinism Keras would not either
    )
    # Else Keras makes the metrics' variables in the first step, and traces it again. With several replicas it would
    # average their first photos to learn the shapes, and stop where one has more.
    model._symbolic_build(data_batch=(model.input, model.output))
    model._maybe_symbolic_build = lambda **_: None


def _replica_loss() -> Any:
    """The cross-entropy of one replica's photos, with the gradient that its share of the batch has.

    Keras takes the mean of the replicas' means. When a batch does not divide, a photo of the smaller share would weigh
    more. The value stays the replica's own mean, since Keras weighs that by photos when it adds up an epoch's loss.
    """
    import keras
    import tensorflow as tf

    class ReplicaCrossentropy(keras.losses.CategoricalCrossentropy):  # type: ignore[misc]
        def call(self, y_true: Any, y_pred: Any) -> Any:
            values = super().call(y_true, y_pred)
            replica = tf.distribute.get_replica_context()
            if replica is None:  # Keras asks for the shape alone
                return values
            photos = tf.cast(tf.shape(values)[0], values.dtype)
            share = photos * replica.num_replicas_in_sync / replica.all_reduce("SUM", photos)
            return share * values + tf.stop_gradient((1 - share) * values)

    return ReplicaCrossentropy


def _reaches_all(photos: Any, replicas: int) -> Any:
    """Whether every replica gets one: TensorFlow deals ceil(photos / replicas) to each until there are no more."""
    return -(-photos // replicas) * (replicas - 1) < photos


def _even_size(photos: int, largest: int, replicas: int) -> int:
    """The largest size of validation's batches by which every replica gets a photo of each; else `largest`."""
    for size in range(largest, replicas, -1):
        if _reaches_all(size, replicas) and (photos % size == 0 or _reaches_all(photos % size, replicas)):
            return size
    return largest


def _for_all(batches: Any, replicas: int) -> Any:
    """A batch that would leave a replica without a photo, which networks can't compute, comes `replicas` times.

    The gradient is the same; in the epoch's training loss and accuracy these few photos count as often.
    """
    import tensorflow as tf

    def repeat(images: Any, labels: Any) -> Any:
        times = tf.where(_reaches_all(tf.shape(labels)[0], replicas), 1, replicas)
        return tf.repeat(images, times, axis=0), tf.repeat(labels, times, axis=0)

    return batches.map(repeat) if replicas > 1 else batches


@dataclass
class Training:
    """What a phase of training came to.

    Attributes:
        best: The trainable weights after the best epoch (or at the start).
        rows: An entry an epoch: epoch (from 1), loss and val_loss in nats a photo, categorical_accuracy and
            val_categorical_accuracy in [0, 1], learning_rate at the epoch's end.
        seconds: Wall time of each epoch.
        best_epoch: The epoch with the best validation accuracy (then the lower loss); 0 = none ended.
        every: The trainable weights after each epoch, if they were asked for.
        diverged: Epoch, step and learning rate at which the loss stopped being a number, or None.
    """

    best: Weights
    rows: list[Row] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int = 0
    every: list[Weights] = field(default_factory=list)
    diverged: dict[str, float] | None = None


def fit(
    model: Any,
    records: Path,
    batches: Callable[[int], Any],
    validation: Callable[[int], Any],
    epochs: int,
    batch_size: int,
    seed: int,
    name: str,
    logs: Path,
    resume: Resume,
    keep_every: bool = False,
) -> Training:
    """Train a compiled model, and leave it with the best epoch's weights.

    It goes on from the last state that `resume` has and ends, to the bit, as if it had never been interrupted: weights,
    optimizer and measurements are in the state, and every draw is a function of the seed, the epoch and the photo.
    SIGTERM (a spot node that goes) and SIGINT save the state in the middle of an epoch; SIGKILL costs the epoch.

    Args:
        model: From `join`, compiled.
        records: The photos, of which it needs the numbers.
        batches: Given an epoch, the batches of it and of all after it, as `training_batches` makes them.
        validation: Given a batch size, the validation photos in batches, as `plain_batches` makes them.
        epochs: How many.
        batch_size: Photos a step.
        seed: Dropout's draws are a function of it, the epoch, the step and the replica.
        name: The phase, for the lines it prints.
        logs: Directory for TensorBoard.
        resume: Opened for this training.
        keep_every: Keep the trainable weights of every epoch, not just of the best.

    Returns:
        The history and the best weights. A loss that is not a number ends the training early, and is a result.
    """
    import keras

    splits = read_manifest(records)["splits"]
    steps = steps_per_epoch(splits["train"]["photos"], batch_size)
    replicas = model.distribute_strategy.num_replicas_in_sync
    held_out = _for_all(validation(_even_size(splits["validation"]["photos"], batch_size, replicas)), replicas)
    dropouts = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout) and layer.rate]
    draws = [  # of each replica its own, else all drop the same
        model.distribute_strategy.experimental_local_results(layer.seed_generator.state._value) for layer in dropouts
    ]
    weights = model.trainable_variables
    model.optimizer.build(weights)
    training, first_step, elapsed, midway = Training(_values(weights)), 0, 0.0, {}
    if saved := resume.latest():
        values, arrays = saved
        first_step, elapsed = values.pop("step"), values.pop("elapsed")
        kept = _lists(arrays)
        every = [value for group, value in sorted(kept.items()) if group.startswith("every")]
        training = Training(kept["best"], **values, every=every)
        _assign(weights, kept["weights"])
        _assign(model.optimizer.variables, kept["optimizer"])
        if first_step:
            midway = kept
        where = f", step {first_step}/{steps}" if first_step else ""
        print(f"{name}  goes on after epoch {len(training.rows)}{where}: an earlier run was interrupted", flush=True)
    boards = Boards(logs, training.rows)

    def set_draws(epoch: int) -> None:
        for number, states in enumerate(draws):
            for replica, state in enumerate(states):
                state.assign([seed * 1000 + 100 * replica + number, epoch])

    def keep(step: int, elapsed: float) -> None:
        groups = {"weights": _values(weights), "optimizer": _values(model.optimizer.variables), "best": training.best}
        groups |= {f"every-{number:04d}": values for number, values in enumerate(training.every)}
        if step:
            groups |= {"metrics": _values(model.metrics_variables), "draws": _values(itertools.chain(*draws))}
        values = {"rows": training.rows, "seconds": training.seconds, "best_epoch": training.best_epoch}
        arrays = {
            f"{group}/{number:04d}": value for group, values in groups.items() for number, value in enumerate(values)
        }
        resume.save(len(training.rows), step, values | {"step": step, "elapsed": elapsed}, arrays)

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch, self.started = epoch + 1, time.monotonic() - (elapsed if midway else 0)
            self.before = first_step if midway else 0
            set_draws(epoch)
            if midway:
                _assign(itertools.chain(*draws), midway["draws"])
                _assign(model.metrics_variables, midway["metrics"])
                midway.clear()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            step = self.before + batch + 1
            if not math.isfinite(logs["loss"]):
                self.diverge(step)
            elif signals and step < steps:
                keep(step, time.monotonic() - self.started)
                self.stop()

        def diverge(self, step: int) -> None:
            rate = float(model.optimizer.learning_rate)
            training.diverged = {"epoch": self.epoch, "step": step, "learning_rate": rate}
            print(f"{name}  diverged in epoch {self.epoch}, step {step}, at learning rate {rate:g}", flush=True)
            model.stop_training = True

        def stop(self) -> None:
            print(f"{name}  stopped by {signals[0].name}; the state is kept, the same run goes on from it", flush=True)
            sys.exit(128 + signals[0])

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if not training.diverged and not math.isfinite(logs["val_loss"]):
                self.diverge(steps)
            if training.diverged:
                return
            names = ("loss", "categorical_accuracy", "val_loss", "val_categorical_accuracy")
            row = {"epoch": epoch + 1} | {key: float(logs[key]) for key in names}
            row["learning_rate"] = float(model.optimizer.learning_rate)
            training.rows.append(row)
            training.seconds.append(round(time.monotonic() - self.started, 3))
            best = max(training.rows, key=lambda r: (r["val_categorical_accuracy"], -r["val_loss"]))
            if best is row:
                training.best_epoch, training.best = epoch + 1, _values(weights)
            if keep_every:
                training.every.append(_values(weights))
            if resume.keeps:
                keep(0, 0.0)
            boards.add(row)
            left = sum(training.seconds) / len(training.seconds) * (epochs - epoch - 1)
            measured = "  ".join(
                f"{title} {row[key]:.3f}"
                for title, key in (
                    ("loss", "loss"),
                    ("accuracy", "categorical_accuracy"),
                    ("val_loss", "val_loss"),
                    ("val_accuracy", "val_categorical_accuracy"),
                )
            )
            print(f"{name}  epoch {epoch + 1}/{epochs}  {measured}  {left:.0f} s left", flush=True)
            if signals:
                self.stop()

    with _signals(resume.keeps) as signals:
        while len(training.rows) < epochs and not training.diverged:
            done = len(training.rows)
            model.fit(
                _for_all(batches(done + 1).skip(first_step), replicas),
                validation_data=held_out,
                initial_epoch=done,
                epochs=done + 1 if first_step else epochs,
                steps_per_epoch=steps - first_step,
                shuffle=False,  # the batches come in their order
                verbose=0,
                callbacks=[Watch()],
            )
            first_step = 0
    _assign(weights, training.best)
    set_draws(epochs)  # they are saved with a model: one value, whatever ran in this process
    return training


def _values(variables: Iterable[Any]) -> Weights:
    return [variable.numpy() for variable in variables]


def _assign(variables: Iterable[Any], values: Iterable[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _lists(arrays: Mapping[str, Any]) -> dict[str, Weights]:
    """`group/0000` … as a list a group."""
    groups: dict[str, Weights] = {}
    for name in sorted(arrays):
        groups.setdefault(name.partition("/")[0], []).append(arrays[name])
    return groups


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


class Boards:
    """TensorBoard's logs, under the names that Keras gives its scalars; epochs count from 1."""

    def __init__(self, logs: Path, rows: Iterable[Row]) -> None:
        """Begin them.

        Args:
            logs: Directory; gets `train` and `validation`.
            rows: The epochs that are over already.
        """
        import tensorflow as tf

        self.writers = {
            prefix: tf.summary.create_file_writer(str(logs / split))
            for prefix, split in (("", "train"), ("val_", "validation"))
        }
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Write an epoch."""
        import tensorflow as tf

        for prefix, writer in self.writers.items():
            with writer.as_default(int(row["epoch"])):
                for name in ("loss", "categorical_accuracy", "learning_rate"):
                    if prefix + name in row:
                        tf.summary.scalar(f"epoch_{name}", row[prefix + name])
            writer.flush()


def history(training: Training, phase: str, switch_epoch: int, model_digest: str, start: Row) -> dict[str, Any]:
    """A training as the report reads it.

    Args:
        training: From `fit`.
        phase: transfer or finetune.
        switch_epoch: Where it started; 0 for transfer.
        model_digest: Of the best epoch's model.
        start: The row to fall back on when no epoch ended: where it started from.
    """
    best = training.rows[training.best_epoch - 1] if training.best_epoch else start
    return {
        "phase": phase,
        "switch_epoch": switch_epoch,
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


def write_json(path: Path, value: Any) -> None:
    """Write to a temporary name, then move into place."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(value, indent=1))
    temporary.replace(path)
