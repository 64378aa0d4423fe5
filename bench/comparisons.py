"""What is measured: for each name a baseline and our way, as functions that run in processes of their own.

TensorFlow is imported inside them only, so that the table of comparisons costs nothing to read.
"""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from bench.pairs import Comparison, Measured
from switchpoint.identity import ROOT

INPUT_SIZE = 224  # pixels: the lab's
TRAINING_SIZE = 128  # what model-bound comparisons train at: at 224 they would not end within 40 minutes on 2 cores
BATCH = 32
EPOCHS = 14
SWITCH_EPOCHS = (1, 2, 4, 8, 14)
INPUT_EPOCHS = 3  # a run of the input pipeline: about 2,400 photos
SPLITS = ("train", "validation", "test")


def set_up(photos: Path, place: Path) -> None:
    """Prepare the same photos in the same splits both ways: ours at each size, the lab's original bytes."""
    from bench import lab
    from components.prepare.step import PrepareConfig, prepare
    from switchpoint import records
    from switchpoint.sources import open_source

    (place / "photos").symlink_to(photos.resolve())
    with redirect_stdout(io.StringIO()):
        for size in (INPUT_SIZE, TRAINING_SIZE):
            config = PrepareConfig(str(photos), image_size=size, seed=1)
            prepare(place / f"records-{size}", place / "look", place / "source", config)
    (place / "lab").mkdir()
    read = {photo.name: photo.read for photo in open_source(str(photos), seed=1)}
    for split in SPLITS:
        rows = records.dataset(ours(place), split).as_numpy_iterator()
        lab.write_records(
            place / "lab" / f"{split}.tfrecord", ((read[row["name"].decode()](), row["label"]) for row in rows)
        )


def ours(place: Path, size: int = INPUT_SIZE) -> Path:
    """Our records for crops of `size`."""
    return place / f"records-{size}"


def count(place: Path, split: str) -> int:
    return int(manifest(place)["splits"][split]["photos"])


def classes(place: Path) -> int:
    return len(manifest(place)["classes"])


def manifest(place: Path) -> dict[str, Any]:
    from switchpoint import records

    return records.read_manifest(ours(place))


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def throughput(function: Callable[[], object], images: int) -> Measured:
    """Images a second of the second call: the first one traces."""
    function()
    return Measured(images / seconds(function))


def drain(batches: Any) -> None:
    for _ in batches:
        pass


# decode, input_pipeline


def decode_lab(place: Path, repeat: int) -> Measured:
    from bench import lab

    batches = lab.batches(place / "lab" / "train.tfrecord", classes(place), INPUT_SIZE, training=True)
    return throughput(lambda: [drain(batches) for _ in range(INPUT_EPOCHS)], INPUT_EPOCHS * count(place, "train"))


def decode_ours(place: Path, repeat: int) -> Measured:
    from switchpoint.batches import training_crops

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
    from switchpoint.batches import training_batches

    batches = training_batches(ours(place), BATCH, 0.04, repeat, INPUT_EPOCHS)
    return throughput(lambda: drain(batches), INPUT_EPOCHS * count(place, "train"))


# prepare_workers


def prepared(workers: int, place: Path, repeat: int) -> Measured:
    from components.prepare.step import PrepareConfig, prepare

    out = place / f"workers-{workers}"
    config = PrepareConfig(str(place / "photos"), image_size=INPUT_SIZE, workers=workers)
    with redirect_stdout(io.StringIO()):
        return Measured(seconds(lambda: prepare(out / "records", out / "look", out / "source", config)))


# the command's start


def at_most(limit: float, place: Path, repeat: int) -> Measured:
    """The baseline of what is compared with a limit instead of the lab."""
    return Measured(limit)


def command(arguments: tuple[str, ...], place: Path, repeat: int) -> Measured:
    line = [sys.executable, "-m", "switchpoint.cli", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return Measured(
        seconds(lambda: subprocess.run(line, cwd=place, env=environment, check=True, stdout=subprocess.DEVNULL))
    )


def comparisons() -> list[Comparison]:
    from bench import bare, rerun, sizes  # they use what is above

    return [
        Comparison("images/s", 5, decode_lab, {"decode": decode_ours}),
        Comparison("images/s", 5, input_lab, {"input_pipeline": input_ours}),
        Comparison("seconds", 5, partial(prepared, 1), {"prepare_workers": partial(prepared, 2)}),
        *(
            Comparison("seconds", 5, partial(at_most, limit), {f"startup_{name}": partial(command, arguments)})
            for name, limit, arguments in (
                ("help", 0.3, ("--help",)),
                ("plan", 2.0, ("plan",)),
                ("compile", 2.0, ("compile",)),
            )
        ),
        Comparison("images/s", 5, bare.finetune_bare, {"finetune_step": bare.finetune_ours}),
        Comparison("images/s", 5, bare.evaluate_bare, {"evaluate": bare.evaluate_ours}),
        Comparison("bytes", 1, sizes.photo_bytes, {"record_bytes": sizes.record_bytes}),
        Comparison("bytes", 1, sizes.lab_checkpoint, {"checkpoint_bytes": sizes.our_checkpoint}),
        Comparison("seconds", 3, partial(at_most, 2.0), {"rerun_overhead_seconds": rerun.overhead}),
    ]
