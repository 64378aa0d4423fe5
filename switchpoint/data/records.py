"""Records: sharded TFRecords of resized photos, and the manifest that says what is in them.

records/
    train-00000-of-00002.tfrecord  …  validation-…  test-…
    manifest.json     written last: a directory without it is not records
"""

import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from switchpoint.errors import RecordsError

if TYPE_CHECKING:
    import tensorflow as tf

SPLITS = ("train", "validation", "test")
PHOTOS_A_SHARD = 1024  # about 48 MB at 300×260
MANIFEST = "manifest.json"


class Example(NamedTuple):
    """One photo of a record file: JPEG bytes, label in [0, classes), name (`class/file`)."""

    image: bytes
    label: int
    name: str


@contextmanager
def writing(records: Path) -> Iterator[Path]:
    """Give a temporary sibling to write into; move it to `records` if all went well, else remove it."""
    if records.exists() and any(
        path.suffix != ".tfrecord" and path.name != MANIFEST for path in sorted(records.iterdir())
    ):
        raise RecordsError(f"{records} holds something other than records. Name an empty or a new directory.")
    partial = records.with_name(f"{records.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a killed run
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(records, ignore_errors=True)
        partial.rename(records)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_split(directory: Path, split: str, examples: Iterable[Example], photos: int, classes: int) -> dict[str, Any]:
    """Write one split, in the order given.

    Args:
        directory: From `writing`.
        split: One of `SPLITS`.
        examples: `photos` of them.
        photos: Known beforehand, for it decides the number of shards.
        classes: Labels must lie in [0, classes).

    Returns:
        The split's entry in the manifest: photos, shards (file, sha256, bytes), per_class counts.
    """
    import tensorflow as tf

    def feature(value: bytes | int) -> tf.train.Feature:
        if isinstance(value, int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    shards: list[dict[str, Any]] = []
    per_class = [0] * classes
    count = max(1, math.ceil(photos / PHOTOS_A_SHARD))
    remaining = iter(enumerate(examples))
    for shard in range(count):
        path = directory / f"{split}-{shard:05d}-of-{count:05d}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            # Equal shards, to within one photo.
            for _ in range((shard + 1) * photos // count - shard * photos // count):
                index, example = next(remaining)
                if not 0 <= example.label < classes:
                    raise RecordsError(f"{example.name}: label {example.label} is not in [0, {classes}).")
                per_class[example.label] += 1
                features = {
                    "image": feature(example.image),
                    "label": feature(example.label),
                    "name": feature(example.name.encode("utf-8", "surrogateescape")),
                    "index": feature(index),
                }
                message = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(message.SerializeToString(deterministic=True))
        shards.append({"file": path.name, "sha256": _sha256(path), "bytes": path.stat().st_size})
    return {"photos": photos, "shards": shards, "per_class": per_class}


def write_manifest(directory: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Add the digest and write it: the last file of `directory`."""
    manifest = {**manifest, "digest": _digest(manifest)}
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def _digest(manifest: dict[str, Any]) -> str:
    """Of everything but the dataset's address: the same photos elsewhere are the same records."""
    content = {key: value for key, value in manifest.items() if key not in ("digest", "source")}
    content["source"] = manifest["source"]["digest"]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(records: Path) -> dict[str, Any]:
    """Read the manifest and check that the shards it names are there, whole by their sizes.

    Raises:
        RecordsError: No manifest, one that was changed, or a shard is missing or cut short.
    """
    path = records / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        digest = _digest(manifest)
        sizes = {s["file"]: s["bytes"] for name in SPLITS for s in manifest["splits"][name]["shards"]}
    except FileNotFoundError:
        raise RecordsError(f"No {MANIFEST} in {records}: not records, or not whole. Run prepare again.") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RecordsError(f"{path} is not a manifest ({error!r}). Run prepare again.") from error
    if digest != manifest.get("digest"):
        raise RecordsError(f"{path} was changed after it was written. Run prepare again.")
    for name, size in sizes.items():
        shard = records / name
        found = shard.stat().st_size if shard.is_file() else None
        if found != size:
            received = "is missing" if found is None else f"has {found} bytes, not {size}"
            raise RecordsError(f"{shard} {received}. Run prepare again.")
    return manifest


def verify(records: Path) -> dict[str, Any]:
    """Read the manifest and every shard; raise RecordsError if one is not what its digest says."""
    manifest = read_manifest(records)
    for split in manifest["splits"].values():
        for shard in split["shards"]:
            if _sha256(records / shard["file"]) != shard["sha256"]:
                raise RecordsError(f"{records / shard['file']} is not what its digest says. Run prepare again.")
    return manifest


def dataset(records: Path, split: str, files_at_once: int = 1) -> "tf.data.Dataset":
    """Read one split, always in the same order.

    Args:
        records: Directory written by `prepare`.
        split: One of `SPLITS`.
        files_at_once: Read that many in parallel, a photo of each in turn; 1 = the order of the photos' `index`.

    Returns:
        Scalars: `image` JPEG bytes, `label` int64 in [0, classes), `index` int64 (0-based position in the split),
        `name` bytes. A label out of range raises InvalidArgumentError when it is read.
    """
    import tensorflow as tf

    manifest = read_manifest(records)
    if split not in SPLITS:
        raise RecordsError(f"No split {split!r}: expected one of {', '.join(SPLITS)}.")
    classes = len(manifest["classes"])
    files = [str(records / shard["file"]) for shard in manifest["splits"][split]["shards"]]
    schema = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "index": tf.io.FixedLenFeature([], tf.int64),
        "name": tf.io.FixedLenFeature([], tf.string),
    }

    def parse(record: tf.Tensor) -> dict[str, tf.Tensor]:
        example = tf.io.parse_single_example(record, schema)
        in_range = tf.debugging.Assert(
            (example["label"] >= 0) & (example["label"] < classes),
            ["label out of range in", example["name"], example["label"], "classes:", classes],
        )
        with tf.control_dependencies([in_range]):
            example["label"] = tf.identity(example["label"])
        return dict(example)

    shards = tf.data.Dataset.from_tensor_slices(files).interleave(
        lambda file: tf.data.TFRecordDataset(file, buffer_size=8 << 20),
        cycle_length=files_at_once,
        num_parallel_calls=files_at_once,
        deterministic=True,
    )
    return shards.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).apply(
        tf.data.experimental.assert_cardinality(manifest["splits"][split]["photos"])
    )
