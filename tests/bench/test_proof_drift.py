"""Drift planted among real photos is shown, and other photos of the same classes are none: docs/drift.md in small."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bench.proof.drift import COUNTS, Outcome, table
from switchpoint.data.photos import decode, resize
from switchpoint.drift import study
from switchpoint.training.backbones.build import build

pytestmark = pytest.mark.slow
SIZE, EACH = 96, 40  # pixels; photos of each class, held out and new


@pytest.mark.food101
def test_other_classes_and_darker_photos_are_shown(food101_mini: Path) -> None:
    classes = sorted((food101_mini / "images").iterdir())[:4]
    crops = np.stack([
        np.asarray(resize(decode(photo.read_bytes()), SIZE, SIZE))
        for name in classes for photo in sorted(name.glob("*.jpg"))[: 2 * EACH]
    ])  # fmt: skip
    backbone = build("efficientnet_lite0", "imagenet", SIZE)
    pooled = keras.Model(backbone.input, keras.layers.GlobalAveragePooling2D()(backbone.output))

    def seen(photos: Any) -> Any:
        return pooled.predict(photos, verbose=0, batch_size=40)

    *known, other = np.split(seen(crops), 4)
    held_out, new = (np.concatenate([each[part] for each in known]) for part in (slice(EACH), slice(EACH, None)))
    assert study.p_value(held_out, new) >= study.ALPHA
    assert study.p_value(held_out, np.concatenate([new[: 2 * EACH], other[:EACH]])) < study.ALPHA
    darker = seen(
        (crops[: 3 * 2 * EACH].reshape(3, 2 * EACH, SIZE, SIZE, 3)[:, EACH:] * 0.4).reshape(-1, SIZE, SIZE, 3)
    )
    assert study.p_value(held_out, darker) < study.ALPHA


def test_the_table_has_a_row_for_each_kind() -> None:
    rows = table([Outcome(kind, *counts, 3, 100) for kind in ("nothing", "dark") for counts in COUNTS]).splitlines()
    assert len(rows) == 4 and rows[2] == "| nothing | 3 of 100 | 3 of 100 | 3 of 100 |"
