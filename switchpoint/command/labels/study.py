"""Confident learning: which labels a model disputes that has not seen them, and how sure it is.

A head that was trained on features of other photos gives each photo probabilities. A class's threshold is the mean
probability that it has on photos with its label; a photo whose probability of another class reaches that class's
threshold and is likelier than its label's is in doubt. (Likelier: a class of one photo has a threshold near 0.)

Source:
    Northcutt, Jiang and Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset Labels (JAIR 70), section 3
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

FOLDS = 5
DECAY = 0.03  # of a head's weights, with which held-out photos' loss is lowest on food101-mini (docs/labels.md)


class Doubt(NamedTuple):
    """A photo whose label is in doubt.

    Attributes:
        number: Its place among the photos.
        suggested: The class, by its number, that it is taken for.
        margin: That class's probability less the label's, in (0, 1].
    """

    number: int
    suggested: int
    margin: float


def out_of_sample(features: Array, labels: Array, classes: int, seed: int = 0, folds: int = FOLDS) -> Array:
    """Probabilities of each photo by a head that was trained on the other folds.

    Args:
        features: float (photos, channels).
        labels: int (photos,).
        classes: How many.
        seed: Of the folds, which have each class's photos in equal shares.
        folds: Heads that are trained.

    Returns:
        float64 (photos, classes).
    """
    scaled = features.astype(np.float64)
    scaled = (scaled - scaled.mean(axis=0)) / (scaled.std(axis=0) + 1e-6)
    fold = _folds(labels, seed, folds)
    found = np.empty((len(labels), classes))
    for number in range(folds):
        inside = fold == number
        found[inside] = _softmax(scaled[inside], _head(scaled[~inside], labels[~inside], classes))
    return found


def _folds(labels: Array, seed: int, folds: int) -> Array:
    """The fold of each photo: the photos of a class are dealt out in a drawn order."""
    random = np.random.default_rng(seed)
    found = np.empty(len(labels), int)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        found[members] = np.arange(len(members)) % folds
    return found


def _head(features: Array, labels: Array, classes: int) -> Array:
    """Multinomial logistic regression with L2 decay: weights (channels + 1, classes), the last row the bias."""
    from scipy.optimize import minimize

    photos, channels = features.shape
    right = np.eye(classes)[labels]

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(channels + 1, classes)
        probabilities = _softmax(features, weights)
        own = np.maximum(probabilities[np.arange(photos), labels], 1e-12)
        apart = (probabilities - right) / photos
        decay = DECAY * weights[:-1]
        gradient = np.vstack([features.T @ apart + decay, apart.sum(axis=0)])
        return float(-np.log(own).mean() + 0.5 * (decay * weights[:-1]).sum()), gradient.ravel()

    start = np.zeros((channels + 1) * classes)
    found: Array = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return found.reshape(channels + 1, classes)


def _softmax(features: Array, weights: Array) -> Array:
    logits = features @ weights[:-1] + weights[-1]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Array = powers / powers.sum(axis=1, keepdims=True)
    return found


def doubts(probabilities: Array, labels: Array) -> list[Doubt]:
    """Photos whose label is in doubt, the most doubtful first.

    Args:
        probabilities: float (photos, classes), out of sample.
        labels: int (photos,).
    """
    classes = probabilities.shape[1]
    there = [np.flatnonzero(labels == label) for label in range(classes)]
    thresholds = np.array([probabilities[own, label].mean() if len(own) else 1.1 for label, own in enumerate(there)])
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    suggested = confident.argmax(axis=1)
    photos = np.arange(len(labels))
    margins = probabilities[photos, suggested] - probabilities[photos, labels]
    found = np.flatnonzero((confident[photos, suggested] >= 0) & (margins > 0))
    order = found[np.argsort(-margins[found], kind="stable")]
    return [Doubt(int(number), int(suggested[number]), float(margins[number])) for number in order]
