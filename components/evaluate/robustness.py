"""A model on test photos that are noisy, blurred, too bright, pale or badly compressed: accuracy and calibration."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from components.evaluate.corruptions import CORRUPTIONS, STRENGTHS, corrupted
from components.evaluate.measures import calibration
from switchpoint.cores import cores
from switchpoint.data import records as recordfiles
from switchpoint.data.manifest import read_manifest
from switchpoint.progress import say
from switchpoint.training.augmentation import decode_crop
from switchpoint.training.batches import as_written, untuned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import tensorflow as tf

    from switchpoint.documents.evaluation import Corrupted, Robustness

    Array = np.ndarray[Any, Any]
    Compute = Callable[[Array], Array]

SAMPLE = 500  # photos: with the three strengths of five corruptions 7,500, as many as Food-101 has validation photos


class Answered(NamedTuple):
    """A model's answers on some photos.

    Attributes:
        right: bool (photos,): whether each was named right.
        confidence: float (photos,): the probability of the class that was named.
    """

    right: Array
    confidence: Array

    @classmethod
    def of(cls, probabilities: Array, labels: Array) -> Answered:
        """From float (photos, classes) and int (photos,)."""
        return cls(probabilities.argmax(axis=1) == labels, probabilities.max(axis=1).astype(float))

    @property
    def top_1(self) -> float:
        """Accuracy."""
        return float(self.right.mean())

    @property
    def ece(self) -> float:
        """Expected calibration error."""
        return calibration(self.confidence.tolist(), self.right.tolist())["ece"]


def robustness(
    records: Path, compute: Compute, batch_size: int, extent: str, probabilities: Array, labels: Array
) -> Robustness | None:
    """Measure it.

    Which photos, and the noise on each, follow from the seed that the records were made with: every model that is
    evaluated on them sees the same, whatever it was trained with, in whatever batches.

    Args:
        records: Directory that prepare wrote.
        compute: The model, from `forward.function`.
        batch_size: Photos that `compute` takes.
        extent: `off`; `sample`: `SAMPLE` test photos; `full`: all of them.
        probabilities: What the model makes of the clean test photos: float (photos, classes).
        labels: Theirs: int (photos,).

    Returns:
        None if it is off.
    """
    if extent == "off":
        return None
    seed = read_manifest(records)["seed"]
    chosen = sample(len(labels), seed, extent == "full")
    kinds = [(name, strength) for name in CORRUPTIONS for strength in STRENGTHS]
    say("evaluate", f"{len(chosen)} of {len(labels)} test photos under {len(kinds)} corruptions")
    answers = [np.empty((len(chosen), probabilities.shape[1]), np.float32) for _ in kinds]
    at = 0
    with ThreadPoolExecutor(cores()) as pool:
        for photos, numbers in crops(records, chosen, batch_size).as_numpy_iterator():
            # While the model computes, the next corruptions are made.
            made = pool.map(partial(batches, photos, numbers, batch_size, seed), CORRUPTIONS)
            for kind, batch in enumerate(batch for strengths in made for batch in strengths):
                answers[kind][at : at + len(photos)] = compute(batch)[: len(photos)]
            at += len(photos)
    clean = Answered.of(probabilities[chosen], labels[chosen])
    found = [Answered.of(each, labels[chosen]) for each in answers]
    rows: list[Corrupted] = [
        {"corruption": name, "strength": strength, "top_1": each.top_1, "ece": each.ece}
        for (name, strength), each in zip(kinds, found, strict=True)
    ]
    return {
        "photos": len(chosen),
        "numbers": chosen.tolist(),
        "top_1": clean.top_1,
        "ece": clean.ece,
        "corrupted": rows,
        "right": np.sum([each.right for each in found], axis=0).tolist(),
    }


def sample(photos: int, seed: int, full: bool = False) -> Array:
    """The numbers of the photos that are tried, rising: `SAMPLE` at most, or all."""
    if full or photos <= SAMPLE:
        return np.arange(photos)
    return np.sort(np.random.default_rng(seed).choice(photos, SAMPLE, replace=False))


def crops(records: Path, chosen: Array, batch_size: int) -> tf.data.Dataset:
    """The chosen test photos as `batches.plain_batches` crops them; the others are not decoded.

    Returns:
        tf.data.Dataset of (uint8 (batch, size, size, 3), int64 (batch,) the photos' numbers).
    """
    import tensorflow as tf

    manifest = read_manifest(records)
    height, width, size = manifest["image_height"], manifest["image_width"], manifest["image_size"]
    wanted = np.zeros(manifest["splits"]["test"]["photos"], bool)
    wanted[chosen] = True

    def is_chosen(example: dict[str, Any]) -> Any:
        return tf.gather(wanted, example["index"])

    def crop(example: dict[str, Any]) -> Any:
        return decode_crop(example["image"], height, width, size, 0.5, 0.5), example["index"]

    examples = recordfiles.dataset(records, "test").filter(as_written(is_chosen))
    return untuned(examples.map(as_written(crop), num_parallel_calls=cores()).batch(batch_size).prefetch(1))


def batches(photos: Array, numbers: Array, batch_size: int, seed: int, name: str) -> Array:
    """Photos under one corruption at each strength, filled up with black ones as `forward.fill` does.

    Args:
        photos: uint8 (photos, size, size, 3), `batch_size` of them or fewer.
        numbers: Theirs in the split, which their draws depend on.
        batch_size: Photos in each batch.
        seed: Of the draws.
        name: The corruption's.

    Returns:
        uint8 (strengths, batch_size, size, size, 3).
    """
    made = np.zeros((len(STRENGTHS), batch_size, *photos.shape[1:]), np.uint8)
    for place, (photo, number) in enumerate(zip(photos, numbers, strict=True)):
        made[:, place] = corrupted(photo, name, seed, int(number))
    return made
