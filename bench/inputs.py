"""From photos to records, and from records to batches."""

import io
from contextlib import redirect_stdout
from pathlib import Path

from bench.pairs import Measured
from bench.prepared import BATCH, INPUT_SIZE, LAB, classes, count, drain, ours, prepare_records, seconds, throughput

INPUT_EPOCHS = 3  # a run of the input pipeline: about 2,400 photos


def decode_lab(directory: Path, repeat: int) -> Measured:
    from bench import lab

    batches = lab.batches(directory / "lab" / "train.tfrecord", classes(directory), INPUT_SIZE, training=True)

    def epochs() -> None:  # each of them begins anew, as in the lab's `fit`
        for _ in range(INPUT_EPOCHS):
            drain(batches)

    return throughput(epochs, INPUT_EPOCHS * count(directory, "train"))


def decode_ours(directory: Path, repeat: int) -> Measured:
    from switchpoint.training.batches import training_crops

    batches = training_crops(ours(directory), BATCH, "lab", repeat, INPUT_EPOCHS)
    return throughput(lambda: drain(batches), INPUT_EPOCHS * count(directory, "train"))


def input_lab(directory: Path, repeat: int) -> Measured:
    import tensorflow as tf

    from bench import lab

    augment = lab.augmentation()
    layers = tf.function(lambda images: augment(images, training=True))
    batches = lab.batches(directory / "lab" / "train.tfrecord", classes(directory), INPUT_SIZE, training=True)

    def epochs() -> None:
        for _ in range(INPUT_EPOCHS):
            for images, _labels in batches:
                layers(images)

    return throughput(epochs, INPUT_EPOCHS * count(directory, "train"))


def input_ours(directory: Path, repeat: int) -> Measured:
    from switchpoint.training.batches import training_batches

    batches = training_batches(ours(directory), BATCH, "lab", LAB["rotation"], repeat, INPUT_EPOCHS)
    return throughput(lambda: drain(batches), INPUT_EPOCHS * count(directory, "train"))


def prepared(workers: int, directory: Path, repeat: int) -> Measured:
    records = directory / f"workers-{workers}" / "records"
    with redirect_stdout(io.StringIO()):
        return Measured(seconds(lambda: prepare_records(directory / "photos", records, workers, image_size=INPUT_SIZE)))
