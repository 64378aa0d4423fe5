"""Our loops against the network alone: one compiled function, called again and again on one batch held in memory.

The difference is what we add to the network: reading, decoding, augmentation, Keras' loop and our callbacks.
"""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from bench.comparisons import BATCH, TRAINING_SIZE, ours, seconds
from bench.pairs import Measured

FINETUNE_EPOCHS = 3  # of which the first one traces and does not count
STEPS = 40  # of the bare functions


def classifier(records: Path, seed: int, deterministic: bool = True) -> Any:
    """EfficientNet-Lite0 with a new head, everything unfrozen and compiled as fine-tuning compiles it."""
    import keras

    from switchpoint import backbones, training
    from switchpoint.records import read_manifest

    if deterministic:
        training.deterministic(seed)
    else:
        keras.utils.set_random_seed(seed)
    manifest = read_manifest(records)
    backbone = backbones.build("efficientnet_lite0", "imagenet", manifest["image_size"])
    backbones.unfreeze(backbone, 0)
    model = training.join(backbone, training.head(backbone, len(manifest["classes"]), 0.2))
    training.compile_model(model, 3e-4, 0.0)
    return model


def finetune_bare(place: Path, repeat: int, deterministic: bool = True) -> Measured:
    """Images a second of Keras' compiled training step."""
    import tensorflow as tf

    from switchpoint.batches import training_batches

    model = classifier(ours(place, TRAINING_SIZE), repeat, deterministic)
    batch = next(iter(training_batches(ours(place, TRAINING_SIZE), BATCH, 0.04, repeat, 1)))
    step = tf.function(model.train_step)
    step(batch)  # traces
    return Measured(STEPS * BATCH / seconds(lambda: [step(batch) for _ in range(STEPS)][-1]["loss"].numpy()))


def finetune_ours(place: Path, repeat: int) -> Measured:
    """Images a second of `switchpoint.training.fit`, validation kept to one photo."""
    from switchpoint import training
    from switchpoint.batches import plain_batches, training_batches
    from switchpoint.records import read_manifest
    from switchpoint.resume import Resume

    records = ours(place, TRAINING_SIZE)
    with redirect_stdout(io.StringIO()):
        trained = training.fit(
            classifier(records, repeat),
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
    """Images a second of the compiled forward pass."""
    import tensorflow as tf

    from switchpoint.batches import plain_batches

    model = classifier(ours(place), repeat, deterministic=False)
    images, _ = next(iter(plain_batches(ours(place), "test", BATCH)))
    forward = tf.function(lambda images: model(images, training=False))
    forward(images)  # traces
    return Measured(10 * BATCH / seconds(lambda: [forward(images) for _ in range(10)][-1].numpy()))


def evaluate_ours(place: Path, repeat: int) -> Measured:
    """Images a second of predicting all test photos from their records, as evaluate does it."""
    from switchpoint.batches import plain_batches

    model = classifier(ours(place), repeat, deterministic=False)
    batches = plain_batches(ours(place), "test", BATCH)
    found = model.predict(batches, verbose=0)  # traces
    return Measured(len(found) / seconds(lambda: model.predict(batches, verbose=0)))
