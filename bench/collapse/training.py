"""Transfer learning and fine-tuning as the lab did them, on labels of one kind, measured after every epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from bench.collapse.labels import relabel
from bench.prepared import LAB

if TYPE_CHECKING:
    from pathlib import Path

    import keras


@dataclass(frozen=True)
class Settings:
    """How all of them are trained: sizes in pixels and photos, learning rates of Adam."""

    image_size: int
    batch_size: int
    transfer_epochs: int
    finetune_epochs: int
    transfer_learning_rate: float
    finetune_learning_rate: float


class Measures(TypedDict):
    """Of the validation photos: see `Validation.measure`."""

    validation_loss: float
    validation_accuracy: float
    logsumexp: float


class Row(Measures):
    """An epoch, counted from 1 in each phase: train_loss and train_accuracy are Keras' own, on training photos."""

    labels: str
    seed: int
    phase: str
    epoch: int
    train_loss: float
    train_accuracy: float


class Validation:
    """The validation photos, held in memory, and their labels of one kind."""

    def __init__(self, records: Path, labels: str, backbone: keras.Model, head: keras.Model) -> None:
        import keras

        from switchpoint.training.batches import plain_batches

        self.classes = head.get_layer("classes")
        photos = keras.Input(backbone.input.shape[1:])
        self.pooled = keras.Model(photos, head.get_layer("pool")(backbone(photos)))
        batches = plain_batches(records, "validation", 64)
        self.images, one_hot = (np.concatenate(part) for part in zip(*batches, strict=True))
        self.targets = np.asarray(relabel(self.images, one_hot, labels)[1])

    def measure(self) -> Measures:
        """Of the model as it is now.

        Returns:
            On the photos whose row is not all zeros (right labels: on all) loss in nats and accuracy in [0, 1]; on all
            of them the mean logsumexp of the logits in nats.
        """
        pooled = self.pooled.predict(self.images, batch_size=64, verbose=0)
        logits = pooled @ self.classes.kernel.numpy() + self.classes.bias.numpy()
        highest = logits.max(axis=1)
        logsumexp = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
        known = self.targets.sum(axis=1) > 0
        return {
            "validation_loss": float((logsumexp - (logits * self.targets).sum(axis=1))[known].mean()),
            "validation_accuracy": float((logits.argmax(axis=1) == self.targets.argmax(axis=1))[known].mean()),
            "logsumexp": float(logsumexp.mean()),
        }


def train(records: Path, labels: str, seed: int, settings: Settings) -> list[Row]:
    """Transfer learning, then fine-tuning at a constant rate, as the lab did; photos and their order depend on `seed`.

    Returns:
        A row an epoch.
    """
    import keras

    from switchpoint.data.manifest import read_manifest
    from switchpoint.training import loop, network
    from switchpoint.training.backbones.blocks import freeze, unfreeze
    from switchpoint.training.backbones.build import build
    from switchpoint.training.backbones.table import LITE0, named

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    backbone = build(LITE0, "imagenet", settings.image_size)
    head = network.head(backbone, len(read_manifest(records)["classes"]), 0.2)
    model = network.join(backbone, head)
    validation = Validation(records, labels, backbone, head)
    rows: list[Row] = []
    for phase, epochs, rate in (
        ("transfer", settings.transfer_epochs, settings.transfer_learning_rate),
        ("finetune", settings.finetune_epochs, settings.finetune_learning_rate),
    ):

        def note(epoch: int, logs: dict[str, float], phase: str = phase) -> None:
            row: Row = {
                "labels": labels,
                "seed": seed,
                "phase": phase,
                "epoch": epoch + 1,
                "train_loss": logs["loss"],
                "train_accuracy": logs["categorical_accuracy"],
                **validation.measure(),
            }
            rows.append(row)
            print("  ".join(f"{key} {_shown(each)}" for key, each in row.items()))

        if phase == "transfer":
            freeze(backbone)
        else:
            unfreeze(backbone, named(LITE0).block_pattern)
        loop.compile_model(model, rate, label_smoothing=0.0)
        watch = keras.callbacks.LambdaCallback(on_epoch_end=note)
        _fit(model, records, labels, seed + (phase == "finetune"), epochs, settings.batch_size, watch)
    return rows


def _shown(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _fit(model: Any, records: Path, labels: str, seed: int, epochs: int, batch_size: int, watch: Any) -> None:
    """One phase."""
    from switchpoint.data.manifest import read_manifest
    from switchpoint.training.batches import training_batches
    from switchpoint.training.loop import steps_per_epoch

    batches = training_batches(records, batch_size, "lab", LAB["rotation"], seed, epochs)
    model.fit(
        batches.map(lambda images, one_hot: relabel(images, one_hot, labels)),
        epochs=epochs,
        steps_per_epoch=steps_per_epoch(read_manifest(records)["splits"]["train"]["photos"], batch_size),
        shuffle=False,
        verbose=0,
        callbacks=[watch],
    )
