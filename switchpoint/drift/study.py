"""New photos against the held-out photos of a training: is it chance that they look otherwise?

As long as both come from the same place, it is chance alone which photo was held out and which is new. So the distance
between the two sets, in the features of the frozen network, is compared with what it is when they are dealt anew.

Source:
    Székely and Rizzo 2004, Testing for Equal Distributions in High Dimension
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from switchpoint.documents.drift import Drift
    from switchpoint.training.reference import Reference

    Array = np.ndarray[Any, Any]

ALPHA = 0.01
DEALS = 999  # so that p is 0.001 at least
BATCH = 100  # deals at a time: of 4,000 photos 2 MB each


class Seen(NamedTuple):
    """Photos through the frozen backbone and the head on it.

    Attributes:
        photos: Their names.
        features: float (photos, channels).
        probabilities: float (photos, classes).
    """

    photos: Sequence[str]
    features: Array
    probabilities: Array


def p_value(held_out: Array, new: Array) -> float:
    """The chance of so large an energy distance between photos that come from the same place, in [0.001, 1].

    Args:
        held_out: Features, float (photos, channels).
        new: The same of other photos.
    """
    import numpy as np
    from scipy.stats import permutation_test

    both = _directions(np.concatenate([held_out, new]))
    distances = np.sqrt(np.maximum(2 - 2 * both @ both.T, 0))
    np.fill_diagonal(distances, 0)
    total = distances.sum()

    def energy(one: Array, other: Array, axis: int) -> Array:
        """Of photos by their numbers (…, photos): twice the mean distance across, less those within."""
        members = np.zeros((*one.shape[:-1], len(both)), np.float32)
        np.put_along_axis(members, one, 1, axis)
        near = members @ distances
        within = (near * members).sum(axis=axis)
        across = near.sum(axis=axis) - within
        count, rest = one.shape[-1], other.shape[-1]
        found: Array = 2 * across / (count * rest) - within / count**2 - (total - within - 2 * across) / rest**2
        return found

    numbers = np.arange(len(both))
    found = permutation_test(
        (numbers[: len(held_out)], numbers[len(held_out) :]),
        energy,
        vectorized=True,
        n_resamples=DEALS,
        batch=BATCH,
        alternative="greater",
        axis=-1,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def unusual(reference: Reference, features: Array) -> Array:
    """How far photos are from what training showed: one minus the cosine to the nearest class's mean, (photos,)."""
    found: Array = 1 - (_directions(features) @ _directions(reference.means).T).max(axis=1)
    return found


def _directions(features: Array) -> Array:
    """Features of length 1, float32, from float16, as the reference keeps them."""
    import numpy as np

    rounded = features.astype(np.float16).astype(np.float32)
    found: Array = rounded / np.maximum(np.linalg.norm(rounded, axis=1, keepdims=True), 1e-6)
    return found


def compare(reference: Reference, new: Seen) -> Drift:
    """What is known of new photos against the reference."""
    p = p_value(reference.features, new.features)
    before, after = unusual(reference, reference.features), unusual(reference, new.features)
    expected, likeliest = reference.probabilities.argmax(axis=1), new.probabilities.argmax(axis=1)
    return {
        "drift": p < ALPHA,
        "alpha": ALPHA,
        "p": p,
        "photos": len(new.photos),
        "reference": len(reference.features),
        "confidence": {
            "reference": float(reference.probabilities.max(axis=1).mean()),
            "new": float(new.probabilities.max(axis=1).mean()),
        },
        "beyond": float((after > before.max()).mean()),
        "shares": [
            {"class": name, "reference": float((expected == label).mean()), "new": float((likeliest == label).mean())}
            for label, name in enumerate(reference.classes)
        ],
        "unusual": [
            {
                "photo": new.photos[number],
                "class": reference.classes[likeliest[number]],
                "confidence": float(new.probabilities[number].max()),
                "more_unusual_than": float((before < after[number]).mean()),
            }
            for number in (-after).argsort(kind="stable").tolist()
        ],
        "unreadable": [],
    }
