"""What held-out photos look like to the frozen network: what new photos are compared with, docs/drift.md."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    Array = np.ndarray[Any, Any]

PHOTOS = 2_000  # held-out photos that are kept, at most: of 1,280 channels 5 MB


@dataclass(frozen=True)
class Reference:
    """Validation photos through the frozen backbone and the head that was trained on it.

    Attributes:
        features: float16 (photos, channels): pooled.
        probabilities: float32 (photos, classes): transfer learning's.
        means: float32 (classes, channels): of each class's training photos.
        classes: Names in the order of labels.
        sizes: Height and width of records, and the side of what is cropped from them, in pixels.
    """

    features: Array
    probabilities: Array
    means: Array
    classes: Sequence[str]
    sizes: tuple[int, int, int]


def measure(
    held_out: Array, probabilities: Array, trained: Array, labels: Array, classes: Sequence[str], sizes: Sequence[int]
) -> Reference:
    """Keep of held-out photos, evenly over them, and of training photos what comparing takes.

    Args:
        held_out: float (photos, channels).
        probabilities: float (photos, classes), of the same photos.
        trained: float (photos, channels): training photos' features.
        labels: int (photos,), theirs.
        classes: As in `Reference`.
        sizes: As in `Reference`.
    """
    import numpy as np

    kept = np.linspace(0, len(held_out) - 1, min(len(held_out), PHOTOS)).round().astype(int)
    means = np.stack([trained[labels == label].mean(axis=0, dtype=np.float64) for label in range(len(classes))])
    height, width, size = sizes
    return Reference(
        held_out[kept].astype(np.float16),
        probabilities[kept].astype(np.float32),
        means.astype(np.float32),
        list(classes),
        (height, width, size),
    )


def write(path: Path, reference: Reference) -> None:
    """Write it as NumPy's .npz, whatever the file's name."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            features=reference.features,
            probabilities=reference.probabilities,
            means=reference.means,
            classes=np.array(reference.classes, dtype=np.str_),
            sizes=np.array(reference.sizes),
        )
    part.replace(path)


def read(path: Path) -> Reference:
    """Read what `write` wrote; raises OSError, ValueError or KeyError where it is something else."""
    import numpy as np

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:  # closed, whatever it holds
            height, width, size = found["sizes"].tolist()
            return Reference(
                found["features"],
                found["probabilities"],
                found["means"],
                found["classes"].tolist(),
                (height, width, size),
            )
    except (EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(str(error)) from error
