"""Heads trained on features as the transfer step trains them, and what they say of the test photos."""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from bench.prepared import BATCH, LAB
from switchpoint.training.features import Views, on_features

if TYPE_CHECKING:
    import keras

    from bench.pixels.sources import Pixels

DROPOUT = 0.2  # the pipeline's default, and the lab's


class Answers(TypedDict):
    """What a head says of each test photo: whether it names it right, and the loss in nats."""

    correct: list[int]
    loss: list[float]


class Given(Views):
    """Views whose features are given, not computed: in their order, dropout and rates they train as the step's do."""

    def __init__(self, features: Pixels, labels: Pixels, held_out: Pixels, held_out_labels: Pixels, seed: int) -> None:
        """Features (views, photos, channels) of the training photos, (photos, channels) of the validation photos."""
        self.features, self.labels, self.views = features, labels, len(features)
        self.held_out, self.held_out_labels = held_out, held_out_labels
        self.batch_size, self.seed, self.classes = BATCH, seed, int(labels.max()) + 1
        self.seconds = []


def train(backbone: keras.Model, seen: Given, epochs: int) -> tuple[Pixels, Pixels]:
    """The lab's recipe; kernel and bias after the last epoch, which validation has no say in, as in bench/lab.py."""
    import keras

    from switchpoint.training import loop, network
    from switchpoint.training.resume import Resume

    loop.deterministic(seen.seed)
    head = network.head(backbone, seen.classes, DROPOUT)
    model = on_features(head)
    rates = keras.optimizers.schedules.CosineDecayRestarts(
        LAB["transfer_learning_rate"], LAB["first_decay_steps"], t_mul=LAB["t_mul"], m_mul=LAB["m_mul"]
    )
    loop.compile_model(model, rates, LAB["label_smoothing"])
    phase = loop.Phase("transfer", epochs, BATCH, seen.seed, keep_every=True)
    with tempfile.TemporaryDirectory() as logs, redirect_stdout(io.StringIO()):
        kernel, bias = loop.fit(model, seen.feed(epochs), phase, Path(logs), Resume()).every[-1]
    return kernel, bias


def answers(kernel: Pixels, bias: Pixels, features: Pixels, labels: Pixels) -> Answers:
    """What a head says of photos with these features."""
    logits: np.ndarray[Any, Any] = features.astype(np.float64) @ kernel + bias
    highest = logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0] - logits[np.arange(len(labels)), labels]
    right = logits.argmax(axis=1) == labels
    return {"correct": right.astype(int).tolist(), "loss": losses.round(5).tolist()}
