"""A run's photos through its frozen backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from switchpoint.command.made import made_by, transfer_model
from switchpoint.data.manifest import SPLITS, read_manifest
from switchpoint.drift.seen import network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from switchpoint.command.documents import Run

    Array = np.ndarray[Any, Any]

BATCH = 64  # photos


class Photos(NamedTuple):
    """Photos of all splits.

    Attributes:
        names: `class/file`, as the dataset has them.
        splits: Of each.
        labels: int (photos,).
        classes: Names in the order of labels.
        features: float32 (photos, channels).
    """

    names: Sequence[str]
    splits: Sequence[str]
    labels: Array
    classes: Sequence[str]
    features: Array


def see(document: Run) -> Photos:
    """Compute the features of the centre crop of every photo in a run's records."""
    import numpy as np

    from switchpoint.data import records
    from switchpoint.training.batches import plain_batches

    directory = made_by(document, "prepare", "records")
    manifest = read_manifest(directory)
    compute = network(transfer_model(document))
    names, splits, labels, features = [], [], [], []
    for split in SPLITS:
        features += [compute.predict_on_batch(crops)[0] for crops, _ in plain_batches(directory, split, BATCH)]
        for row in records.dataset(directory, split).as_numpy_iterator():
            names.append(row["name"].decode("utf-8", "surrogateescape"))
            labels.append(int(row["label"]))
            splits.append(split)
    return Photos(names, splits, np.array(labels), manifest["classes"], np.concatenate(features))


def images(directory: Path, wanted: set[str]) -> dict[str, bytes]:
    """The JPEG of some of a run's records, by name."""
    from switchpoint.data import records

    return {
        name: row["image"]
        for split in SPLITS
        for row in records.dataset(directory, split).as_numpy_iterator()
        if (name := row["name"].decode("utf-8", "surrogateescape")) in wanted
    }
