"""Starts on corrupted photos: what is measured, and what the report says of it."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.evaluate.corruptions import CORRUPTIONS, STRENGTHS
from components.evaluate.robustness import SAMPLE, crops, robustness, sample
from components.report.robustness import section, sentence, spread, tried
from switchpoint.errors import RecordsError
from switchpoint.training.batches import plain_batches
from tests.components.studies import robust, whole_study

Array = np.ndarray[Any, Any]


def by_colour(photos: Array) -> Array:
    """A classifier of three classes that needs no training: a photo's mean colour, as probabilities."""
    means = photos.mean(axis=(1, 2)) + 1
    return np.asarray(means / means.sum(axis=1, keepdims=True))


def test_photos_are_the_same_in_any_batches(small_records: Path) -> None:
    photos, one_hot = (np.concatenate(each) for each in zip(*plain_batches(small_records, "test", 5), strict=True))
    clean, labels = by_colour(photos), one_hot.argmax(axis=1)
    small, large = (robustness(small_records, by_colour, size, "full", clean, labels) for size in (3, 64))
    assert small and small == large
    assert [(row["corruption"], row["strength"]) for row in small["corrupted"]] == [
        (name, strength) for name in CORRUPTIONS for strength in STRENGTHS
    ]
    assert small["top_1"] == (clean.argmax(axis=1) == labels).mean()
    assert np.mean([row["top_1"] for row in small["corrupted"]]) == pytest.approx(np.mean(small["right"]) / 15)
    assert robustness(small_records, by_colour, 3, "off", clean, labels) is None
    chosen = np.array([1, 3, 4])
    ((cropped, numbers),) = crops(small_records, chosen, 8).as_numpy_iterator()
    assert (numbers == chosen).all() and (cropped == photos[chosen]).all()


def test_a_sample_is_the_seeds() -> None:
    chosen = sample(10 * SAMPLE, 1)
    assert len(set(chosen)) == SAMPLE and (np.sort(chosen) == chosen).all() and chosen[-1] < 10 * SAMPLE
    assert (chosen == sample(10 * SAMPLE, 1)).all() and (chosen != sample(10 * SAMPLE, 2)).any()
    assert len(sample(SAMPLE, 1)) == SAMPLE and len(sample(10 * SAMPLE, 1, full=True)) == 10 * SAMPLE


def starts(*shares: tuple[float, float], seeds: int = 1) -> Any:
    """Starts of these accuracies on clean and on corrupted photos, transfer learning alone first."""
    return [
        [{"switch_epoch": epoch, "robustness": robust(*pair, seed=seed)} for seed in range(seeds)]
        for epoch, pair in enumerate(shares)
    ]


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        (
            [(0.6, 0.4)],
            r"^Under corruptions the 60\.0 % of transfer learning alone on these 200 photos become 40\.\d %\.$",
        ),
        (
            [(0.6, 0.4), (0.7, 0.6)],
            r"the 70\.0 % of fine-tuning from epoch 1, the recommended start, on these 200 photos become 60\.\d %; it "
            r"is the best there, (20|19)\.\d points ahead of transfer learning alone \(95 % interval \+\d+\.\d to "
            r"\+\d+\.\d\), told apart from every other start\.$",
        ),
        (
            [(0.6, 0.5), (0.7, 0.495), (0.65, 0.2)],
            r"fine-tuning from epoch 1, the recommended start, on these 200 photos become 49\.\d %; the best there is "
            r"transfer learning alone, \d\.\d points ahead of it \(95 % interval −\d\.\d to \+\d\.\d\), not told apart "
            r"from fine-tuning from epoch 1\.$",
        ),
        ([(0.6, 0.5)] * 6, r"\(95 % interval −.* to \+.*\), not told apart from any other start\.$"),
        ([(0.6, 0.5)] * 6 + [(0.5, 0.2)], r", not told apart from 5 of the 6 other starts\.$"),
    ],
)
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_sentence_says_what_is_told_apart(shares: list[tuple[float, float]], said: str, seeds: int) -> None:
    assert re.search(said, sentence(tried(starts(*shares, seeds=seeds)), chosen=min(1, len(shares) - 1)))


def test_starts_on_other_photos_are_not_compared() -> None:
    assert section([[{"switch_epoch": 0, "robustness": None}]], 0) == ""  # type: ignore[list-item]
    mixed = starts((0.6, 0.5), (0.7, 0.5))
    mixed[1][0]["robustness"]["numbers"][0] = 10_000
    with pytest.raises(RecordsError, match=r"the same corrupted photos .* Run evaluate again"):
        section(mixed, 0)


def test_names_beside_the_graph_are_apart() -> None:
    assert spread([0.1, 0.5], 0.1) == [0.1, 0.5]
    placed = spread([0.5] * 3 + [0.97, 0.98], 0.1)
    assert placed == pytest.approx([0.5, 0.6, 0.7, 0.9, 1.0])


def test_a_figure_that_was_edited_is_refused(tmp_path: Path) -> None:
    study = whole_study(tmp_path)
    page, _, _ = study.report()
    assert "Under corruptions the" in page
    evaluation = study.files(4).evaluation
    written = json.loads(evaluation.read_text())
    written["robustness"]["corrupted"][3]["top_1"] += 0.1
    evaluation.write_text(json.dumps(written))
    with pytest.raises(RecordsError, match="evaluation-4 is not what evaluate wrote"):
        study.collect()
