"""The same photos prepared both ways, and what each measurement does with them.

TensorFlow is imported inside functions only, so that the table of comparisons costs nothing to read.
"""

from __future__ import annotations

import io
import time
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from bench.pairs import Measured
from switchpoint.command import parameters
from switchpoint.command.recipes import RECIPES
from switchpoint.data.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from switchpoint.documents.records import Manifest

LAB = RECIPES["lab"]

INPUT_SIZE = 224  # pixels: the lab's
TRANSFER_SIZE = 160  # what transfer phases are measured at: at 224 all would not end within 40 minutes on 2 cores
BATCH = 32
SPLITS = ("train", "validation", "test")


def prepare_records(dataset: Path, records: Path, workers: int | None = None, **changes: Any) -> Manifest:
    """Write records of a dataset, as the step does it.

    Args:
        dataset: Any that `switchpoint run` reads.
        records: Directory to write; what else prepare writes lies beside it.
        workers: Processes that decode; None: as many as there are cores.
        changes: Of the pipeline's parameters, where they are not the defaults.
    """
    from components.prepare.step import Outputs, PrepareConfig, prepare

    values = parameters.resolve("better", {"dataset": str(dataset), **changes})
    outputs = Outputs(records, source=records.with_name("source.json"), look=records.with_name("look.html"))
    return prepare(outputs, parameters.config(PrepareConfig, "prepare", values), workers)


def set_up(photos: Path, directory: Path) -> None:
    """Prepare the same photos in the same splits both ways: ours at each size, the lab's original bytes."""
    from bench import lab
    from switchpoint.data import records
    from switchpoint.data.sources import open_source

    (directory / "photos").symlink_to(photos.resolve())
    with redirect_stdout(io.StringIO()):
        for size in (INPUT_SIZE, TRANSFER_SIZE):
            prepare_records(photos, ours(directory, size), image_size=size, seed=1)
    (directory / "lab").mkdir()
    read = {photo.name: photo.read for photo in open_source(str(photos))}
    for split in SPLITS:
        rows = records.dataset(ours(directory), split).as_numpy_iterator()
        lab.write_records(
            directory / "lab" / f"{split}.tfrecord", ((read[row["name"].decode()](), row["label"]) for row in rows)
        )


def ours(directory: Path, size: int = INPUT_SIZE) -> Path:
    """Our records for crops of `size`."""
    return directory / f"records-{size}"


def count(directory: Path, split: str) -> int:
    return manifest(directory)["splits"][split]["photos"]


def classes(directory: Path) -> int:
    return len(manifest(directory)["classes"])


def manifest(directory: Path) -> Manifest:
    return read_manifest(ours(directory))


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
