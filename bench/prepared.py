"""The same photos prepared both ways, and what each measurement does with them.

TensorFlow is imported inside functions only, so that the table of comparisons costs nothing to read.
"""

import io
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from bench.pairs import Measured
from switchpoint.data.manifest import read_manifest

INPUT_SIZE = 224  # pixels: the lab's
TRANSFER_SIZE = 160  # what transfer phases are measured at: at 224 all would not end within 40 minutes on 2 cores
BATCH = 32
SPLITS = ("train", "validation", "test")


def set_up(photos: Path, place: Path) -> None:
    """Prepare the same photos in the same splits both ways: ours at each size, the lab's original bytes."""
    from bench import lab
    from components.prepare.step import PrepareConfig, prepare
    from switchpoint.data import records
    from switchpoint.data.sources import open_source

    (place / "photos").symlink_to(photos.resolve())
    with redirect_stdout(io.StringIO()):
        for size in (INPUT_SIZE, TRANSFER_SIZE):
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

    return read_manifest(ours(place))


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
