"""Our loops against the network alone: one compiled function, called again and again on one batch held in memory.

The difference is what we add to the network: reading, decoding, augmentation, Keras' loop and our callbacks.
"""

import dataclasses
import functools
import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from bench.pairs import Measured
from bench.prepared import BATCH, LAB, count, ours, seconds, throughput

FINETUNE_EPOCHS = 2  # of which the first one traces and does not count
TRAINING_STEPS = 25
FORWARD_PASSES = 10


@functools.cache  # built once a process, not once a repeat
def classifier(records: Path, deterministic: bool) -> Any:
    """EfficientNet-Lite0 with a new head, everything unfrozen, compiled as fine-tuning compiles it."""
    from switchpoint.data.manifest import read_manifest
    from switchpoint.training import loop, network
    from switchpoint.training.backbones.blocks import unfreeze
    from switchpoint.training.backbones.build import build
    from switchpoint.training.backbones.table import LITE0, named

    if deterministic:
        loop.deterministic(seed=1)
    manifest = read_manifest(records)
    backbone = build(LITE0, "imagenet", manifest["image_size"])
    unfreeze(backbone, named(LITE0).block_pattern)
    model = network.join(backbone, network.head(backbone, len(manifest["classes"]), 0.2))
    loop.compile_model(model, 3e-4, label_smoothing=0.0)
    return model


def finetune_bare(directory: Path, repeat: int) -> Measured:
    """Images a second of Keras' training step, compiled; deterministic, as the pipeline promises to repeat itself."""
    import tensorflow as tf

    from switchpoint.training.batches import training_batches

    records = ours(directory)
    model = classifier(records, deterministic=True)
    batch = next(iter(training_batches(records, BATCH, "lab", LAB["rotation"], repeat, 1)))
    step = tf.function(model.train_step)
    step(batch)  # traces
    taken = seconds(lambda: [step(batch) for _ in range(TRAINING_STEPS)][-1]["loss"].numpy())
    return Measured(TRAINING_STEPS * BATCH / taken)


def finetune_ours(directory: Path, repeat: int) -> Measured:
    """Images a second of fine-tuning as the step does it, but with a single validation photo."""
    from switchpoint.training.batches import feed, plain_batches
    from switchpoint.training.loop import Phase, fit
    from switchpoint.training.resume import Resume

    records = ours(directory)
    model = classifier(records, deterministic=True)
    seen = dataclasses.replace(
        feed(records, BATCH, "lab", LAB["rotation"], repeat, FINETUNE_EPOCHS),
        held_out=1,
        validation=lambda _size: plain_batches(records, "validation", 1).take(1),
    )
    phase = Phase("finetune", FINETUNE_EPOCHS, BATCH, repeat)
    with redirect_stdout(io.StringIO()):
        trained = fit(model, seen, phase, directory / "logs", Resume())
    return Measured((FINETUNE_EPOCHS - 1) * seen.photos / sum(trained.seconds[1:]))


def evaluate_bare(directory: Path, repeat: int) -> Measured:
    """Images a second of the forward pass, compiled."""
    import tensorflow as tf

    from switchpoint.training.batches import plain_batches

    model = classifier(ours(directory), deterministic=False)
    images, _ = next(iter(plain_batches(ours(directory), "test", BATCH)))
    forward = tf.function(lambda images: model(images, training=False))
    forward(images)  # traces
    taken = seconds(lambda: [forward(images) for _ in range(FORWARD_PASSES)][-1].numpy())
    return Measured(FORWARD_PASSES * BATCH / taken)


def evaluate_ours(directory: Path, repeat: int) -> Measured:
    """Images a second of predicting all test photos from their records, as evaluate does it."""
    import numpy as np

    from switchpoint.training.batches import plain_batches
    from switchpoint.training.forward import fill, function

    records, photos = ours(directory), count(directory, "test")
    model = classifier(records, deterministic=False)
    compute = function(model, BATCH)
    probabilities, labels = np.empty((photos, model.output.shape[-1]), np.float32), np.empty(photos, np.int64)
    return throughput(
        lambda: fill(compute, plain_batches(records, "test", BATCH), BATCH, probabilities, labels), photos
    )
