"""Sharded TFRecords of resized photos; `data/manifest.py` says what is in them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from switchpoint.data.manifest import SPLITS, read_manifest
from switchpoint.errors import RecordsError
from switchpoint.provenance.digests import file_digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import tensorflow as tf

    from switchpoint.documents.records import Shard, Split

PHOTOS_A_SHARD = 1024  # about 48 MB at 300×260


class Example(NamedTuple):
    """One photo of a record file: JPEG bytes, label in [0, classes), name (`class/file`)."""

    image: bytes
    label: int
    name: str


def write_split(directory: Path, split: str, examples: Iterable[Example], photos: int, classes: int) -> Split:
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

    shards: list[Shard] = []
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
        shards.append({"file": path.name, "sha256": file_digest(path), "bytes": path.stat().st_size})
    return {"photos": photos, "shards": shards, "per_class": per_class}


def dataset(records: Path, split: str, files_at_once: int = 1) -> tf.data.Dataset:
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

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
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
