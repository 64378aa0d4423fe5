"""Our loops against the network alone: one compiled function, called again and again on one batch held in memory.

The difference is what we add to the network: reading, decoding, augmentation, Keras' loop and our callbacks.
"""

import functools
import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from bench.pairs import Measured
from bench.prepared import BATCH, count, ours, seconds, throughput

FINETUNE_EPOCHS = 2  # of which the first one traces and does not count
TRAINING_STEPS = 25
FORWARD_PASSES = 10


@functools.cache  # built once a process, not once a repeat
def classifier(records: Path, deterministic: bool) -> Any:
    """EfficientNet-Lite0 with a new head, everything unfrozen, compiled as fine-tuning compiles it."""
    from switchpoint.data.manifest import read_manifest
    from switchpoint.training import loop as training
    from switchpoint.training.backbones.blocks import unfreeze
    from switchpoint.training.backbones.build import build
    from switchpoint.training.backbones.table import LITE0, named

    if deterministic:
        training.deterministic(seed=1)
    manifest = read_manifest(records)
    backbone = build(LITE0, "imagenet", manifest["image_size"])
    unfreeze(backbone, named(LITE0).block_pattern)
    model = training.join(backbone, training.head(backbone, len(manifest["classes"]), 0.2))
    training.compile_model(model, 3e-4, 0.0)
    return model


def finetune_bare(place: Path, repeat: int) -> Measured:
    """Images a second of Keras' training step, compiled; deterministic, as the pipeline promises to repeat itself."""
    import tensorflow as tf

    from switchpoint.training.batches import training_batches

    records = ours(place)
    model = classifier(records, deterministic=True)
    batch = next(iter(training_batches(records, BATCH, 0.04, repeat, 1)))
    step = tf.function(model.train_step)
    step(batch)  # traces
    taken = seconds(lambda: [step(batch) for _ in range(TRAINING_STEPS)][-1]["loss"].numpy())
    return Measured(TRAINING_STEPS * BATCH / taken)


def finetune_ours(place: Path, repeat: int) -> Measured:
    """Images a second of fine-tuning as the step does it, but with a single validation photo."""
    from switchpoint.data.manifest import read_manifest
    from switchpoint.training import loop as training
    from switchpoint.training.batches import plain_batches, training_batches
    from switchpoint.training.resume import Resume

    records = ours(place)
    with redirect_stdout(io.StringIO()):
        trained = training.fit(
            classifier(records, deterministic=True),
            records,
            lambda epoch: training_batches(records, BATCH, 0.04, repeat, FINETUNE_EPOCHS, epoch),
            lambda size: plain_batches(records, "validation", 1).take(1),
            FINETUNE_EPOCHS,
            BATCH,
            repeat,
            "finetune",
            place / "logs",
            Resume(),
        )
    photos = read_manifest(records)["splits"]["train"]["photos"]
    return Measured((FINETUNE_EPOCHS - 1) * photos / sum(trained.seconds[1:]))


def evaluate_bare(place: Path, repeat: int) -> Measured:
    """Images a second of the forward pass, compiled."""
    import tensorflow as tf

    from switchpoint.training.batches import plain_batches

    model = classifier(ours(place), deterministic=False)
    images, _ = next(iter(plain_batches(ours(place), "test", BATCH)))
    forward = tf.function(lambda images: model(images, training=False))
    forward(images)  # traces
    taken = seconds(lambda: [forward(images) for _ in range(FORWARD_PASSES)][-1].numpy())
    return Measured(FORWARD_PASSES * BATCH / taken)


def evaluate_ours(place: Path, repeat: int) -> Measured:
    """Images a second of predicting all test photos from their records, as evaluate does it."""
    from switchpoint.training.batches import plain_batches

    model = classifier(ours(place), deterministic=False)
    return throughput(lambda: model.predict(plain_batches(ours(place), "test", BATCH), verbose=0), count(place, "test"))
