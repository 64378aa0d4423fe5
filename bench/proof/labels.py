"""How many of planted wrong labels the search for labels in doubt finds: `make proof ONLY=labels`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.proof import samples
from switchpoint.command.labels.study import doubts, out_of_sample
from switchpoint.data.manifest import SPLITS, read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    Array = np.ndarray[Any, Any]

SIZE, NOISE, SEEDS = 128, 0.05, 5
DATASET = "food101-mini"


def run(photos: Path, directory: Path) -> str:
    """Means over draws of which labels are wrong."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = [
        "| photos | classes | a photo named right | planted | found (recall) | of those named, planted (precision) "
        "| of as many as were planted, the most doubtful | named without any planted |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    features, labels, classes = _features(photos, directory)
    clean = out_of_sample(features, labels, classes)
    named = {doubt.number for doubt in doubts(clean, labels)}
    found = [_planted(features, labels, classes, seed, named) for seed in range(SEEDS)]
    recall, precision, first = (float(np.mean([each[place] for each in found])) for place in range(3))
    lines.append(
        f"| {len(labels):,} | {classes} | {(clean.argmax(axis=1) == labels).mean():.1%} | {NOISE:.0%} "
        f"| {recall:.0%} | {precision:.0%} | {first:.0%} | {len(named) / len(labels):.1%} |"
    )
    return "\n".join(lines)


def _planted(features: Array, labels: Array, classes: int, seed: int, named: set[int]) -> tuple[float, float, float]:
    """Recall, precision, and precision among the most doubtful; what is named without planting is left aside."""
    random = np.random.default_rng(seed)
    wrong = random.choice(len(labels), round(NOISE * len(labels)), replace=False)
    given = labels.copy()
    given[wrong] = (labels[wrong] + random.integers(1, classes, len(wrong))) % classes
    found = [doubt.number for doubt in doubts(out_of_sample(features, given, classes, seed), given)]
    hit = set(found) & set(wrong.tolist())
    first = [number for number in found if number in hit or number not in named][: len(wrong)]
    return len(hit) / len(wrong), len(hit) / max(len(found), 1), len(set(first) & hit) / max(len(first), 1)


def _features(photos: Path, directory: Path) -> tuple[Array, Array, int]:
    """Pooled features of the centre crops of a dataset, labels, and how many classes there are; kept in a file."""
    file = directory / f"{DATASET}.npz"
    records = samples.pool(photos, DATASET, directory, SIZE)
    classes = len(read_manifest(records)["classes"])
    if not file.exists():
        import keras

        from switchpoint.training.backbones.build import build
        from switchpoint.training.backbones.table import LITE0
        from switchpoint.training.batches import plain_batches

        backbone = build(LITE0, "imagenet", SIZE)
        pooled = keras.Model(backbone.input, keras.layers.GlobalAveragePooling2D()(backbone.output))
        seen = [
            (pooled.predict_on_batch(crops), rows.numpy().argmax(axis=1))
            for split in SPLITS
            for crops, rows in plain_batches(records, split, 64)
        ]
        features, labels = (np.concatenate(each) for each in zip(*seen, strict=True))
        np.savez_compressed(file, features=features, labels=labels)
    with np.load(file) as kept:
        return kept["features"], kept["labels"], classes
