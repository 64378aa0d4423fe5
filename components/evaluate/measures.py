"""What a model's answers on the test photos say of it: calibration, each class, what is taken for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switchpoint.documents.evaluation import Bin, Calibration, ClassMeasures, ConfusedPair

    Matrix = Sequence[Sequence[int]]

BINS = 15
PAIRS = 50
CLASSES = 20  # of the confusion matrix in the Kubeflow UI, which draws every cell as an element


def calibration(confidence: Sequence[float], right: Sequence[bool]) -> Calibration:
    """How far the probability that a model gives its answer is from how often that answer is right.

    Args:
        confidence: For each photo the probability of the predicted class, in [0, 1].
        right: For each photo whether it is the true one.

    Returns:
        `bins`: equal widths; each holds confidences above `from` and up to `to`, with photos, mean confidence and
        accuracy (null where it holds none). `ece`, the expected calibration error: the mean of |accuracy − confidence|
        over the bins, weighted by photos, in [0, 1]. `confidence`: the mean over all photos.

    Source:
        Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599 (section 2)
    """
    sure, hit = np.asarray(confidence, float), np.asarray(right, float)
    edges = np.arange(BINS + 1) / BINS
    # Float32 probabilities may add up to a hair more than 1.
    number_of = np.searchsorted(edges[1:-1], sure, side="left")
    bins: list[Bin] = []
    error = 0.0
    for number in range(BINS):
        inside = number_of == number
        photos = int(inside.sum())
        mean, accuracy = (float(sure[inside].mean()), float(hit[inside].mean())) if photos else (None, None)
        if mean is not None and accuracy is not None:
            error += photos / len(sure) * abs(accuracy - mean)
        bins.append(
            {
                "from": float(edges[number]),
                "to": float(edges[number + 1]),
                "photos": photos,
                "confidence": mean,
                "accuracy": accuracy,
            }
        )
    return {"ece": error, "confidence": float(sure.mean()), "bins": bins}


def per_class(confusion: Matrix, classes: Sequence[str]) -> list[ClassMeasures]:
    """Precision, recall and F1 of each class, in [0, 1]; null where a class has no photos or is never named."""
    matrix = np.asarray(confusion)
    return [
        {
            "class": name,
            "photos": int(photos),
            "precision": float(hits / named) if named else None,
            "recall": float(hits / photos) if photos else None,
            "f1": float(2 * hits / (named + photos)) if named + photos else None,
        }
        for name, hits, photos, named in zip(
            classes, matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0), strict=True
        )
    ]


def confused_pairs(confusion: Matrix, classes: Sequence[str]) -> list[ConfusedPair]:
    """The `PAIRS` most frequent mistakes: true class, predicted class, photos, and of how many of the true class."""
    matrix = np.asarray(confusion)
    wrong = [(-int(matrix[i, j]), int(i), int(j)) for i, j in np.argwhere(matrix) if i != j]
    of = matrix.sum(axis=1)
    return [
        {"true": classes[i], "predicted": classes[j], "photos": -count, "of": int(of[i])}
        for count, i, j in sorted(wrong)[:PAIRS]
    ]


def most_confused(confusion: Matrix, count: int = CLASSES) -> list[int]:
    """The classes with the most mistakes, theirs and others' for them, in the order of their numbers."""
    matrix = np.asarray(confusion)
    mistakes = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    return sorted(int(number) for number in np.argsort(-mistakes, kind="stable")[:count])
