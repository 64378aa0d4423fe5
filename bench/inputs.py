"""From photos to records, and from records to batches."""

import io
from contextlib import redirect_stdout
from pathlib import Path

from bench.pairs import Measured
from bench.prepared import BATCH, INPUT_SIZE, classes, count, drain, ours, seconds, throughput

INPUT_EPOCHS = 3  # a run of the input pipeline: about 2,400 photos


def decode_lab(place: Path, repeat: int) -> Measured:
    from bench import lab

    batches = lab.batches(place / "lab" / "train.tfrecord", classes(place), INPUT_SIZE, training=True)

    def epochs() -> None:  # each of them begins anew, as in the lab's `fit`
        for _ in range(INPUT_EPOCHS):
            drain(batches)

    return throughput(epochs, INPUT_EPOCHS * count(place, "train"))


def decode_ours(place: Path, repeat: int) -> Measured:
    from switchpoint.training.batches import training_crops

    batches = training_crops(ours(place), BATCH, repeat, INPUT_EPOCHS)
    return throughput(lambda: drain(batches), INPUT_EPOCHS * count(place, "train"))


def input_lab(place: Path, repeat: int) -> Measured:
    import tensorflow as tf

    from bench import lab

    augment = lab.augmentation()
    layers = tf.function(lambda images: augment(images, training=True))
    batches = lab.batches(place / "lab" / "train.tfrecord", classes(place), INPUT_SIZE, training=True)

    def epochs() -> None:
        for _ in range(INPUT_EPOCHS):
            for images, _labels in batches:
                layers(images)

    return throughput(epochs, INPUT_EPOCHS * count(place, "train"))


def input_ours(place: Path, repeat: int) -> Measured:
    from switchpoint.training.batches import training_batches

    batches = training_batches(ours(place), BATCH, 0.04, repeat, INPUT_EPOCHS)
    return throughput(lambda: drain(batches), INPUT_EPOCHS * count(place, "train"))


def prepared(workers: int, place: Path, repeat: int) -> Measured:
    from components.prepare.step import PrepareConfig, prepare

    out = place / f"workers-{workers}"
    config = PrepareConfig(str(place / "photos"), image_size=INPUT_SIZE, workers=workers)
    with redirect_stdout(io.StringIO()):
        return Measured(seconds(lambda: prepare(out / "records", out / "look", out / "source", config)))
