"""What an evaluation measures, by hand."""

import pytest

from components.evaluate.measures import calibration, confused_pairs, most_confused, per_class


def test_calibration_by_hand() -> None:
    # Bins are open below and closed above: 0.2 = 3/15 is in the third, 1 in the last.
    found = calibration([0.2, 0.9, 1.0, 1.0], [True, False, True, False])
    filled = {n: row for n, row in enumerate(found["bins"], 1) if row["photos"]}
    assert {n: row["photos"] for n, row in filled.items()} == {3: 1, 14: 1, 15: 2}
    assert found["ece"] == pytest.approx((abs(1 - 0.2) + abs(0 - 0.9) + 2 * abs(0.5 - 1)) / 4)
    assert found["confidence"] == pytest.approx(3.1 / 4)


def test_classes_by_hand() -> None:
    confusion = [[3, 1, 0], [2, 2, 0], [1, 0, 0]]
    assert confused_pairs(confusion, ["a", "b", "c"]) == [
        {"true": "b", "predicted": "a", "photos": 2, "of": 4},
        {"true": "a", "predicted": "b", "photos": 1, "of": 4},
        {"true": "c", "predicted": "a", "photos": 1, "of": 1},
    ]
    assert most_confused(confusion, 2) == [0, 1]
    first, _, last = per_class(confusion, ["a", "b", "c"])
    assert first == {"class": "a", "photos": 4, "precision": 0.5, "recall": 0.75, "f1": pytest.approx(0.6)}
    assert (last["precision"], last["recall"], last["f1"]) == (None, 0, 0)


# Each text's contrast with what is painted beneath it (WCAG 2.1), where that is below AA.
