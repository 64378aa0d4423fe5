"""Comparisons of starts, and what is said of them."""

import re
from pathlib import Path

import numpy as np
import pytest

from components.report.paired import mcnemar, paired
from components.report.step import gain
from tests.components.studies import (
    Study,
    rising,
)


def test_the_verdict_of_a_few_photos_is_that_nothing_is_told_apart(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.held_out = 10_000
    study.add(0, [0.5, 0.7500], 0.60).add(1, [0.7501], 0.763).add(2, [0.7499], 0.7)
    page, results, _ = study.report()
    verdict = results["verdict"]
    assert results["best"]["switch_epoch"] == 1
    assert [each["switch_epoch"] for each in verdict["against"]] == [None]  # the runner-up
    assert verdict["photos"] == 10_000 and not verdict["told_apart"] and not verdict["worse_on_test"]
    (against,) = verdict["against"]
    assert against["points"] == pytest.approx(0.01) and against["low"] < 0 < against["high"]
    said = "Fine-tuning from epoch 1 is not told apart from transfer learning alone"
    assert results["conclusion"].startswith(f"{said}. ")
    assert "includes 0: not told apart" in results["conclusion"]
    assert f"<h1><strong>{said}:</strong>" in page
    for text in (page, results["conclusion"]):
        assert "Start fine-tuning after" not in text
    assert "Earlier switch epochs" not in results["conclusion"]


def test_the_chosen_start_is_compared_with_the_runner_up_and_with_transfer_learning(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5, 0.6], 0.6).add(2, [0.7], 0.7).add(4, [0.705], 0.72).add(8, [0.65], 0.7)
    _, results, _ = study.report()
    against = results["verdict"]["against"]
    assert [(each["switch_epoch"], each["told_apart"]) for each in against] == [(2, False), (None, True)]
    assert not results["verdict"]["told_apart"]  # from both it would have to be
    said = "Fine-tuning from epoch 4 is not told apart from fine-tuning from epoch 2. "
    assert results["conclusion"].startswith(said)


def test_a_start_that_is_told_apart_is_advised(tmp_path: Path) -> None:
    _, results, _ = Study(tmp_path).add(0, [0.5, 0.6], 0.6).add(2, [0.7], 0.7).report()
    assert results["verdict"]["told_apart"]
    assert results["conclusion"].startswith("Start fine-tuning after epoch 2 of transfer learning. ")
    assert "not told apart" not in results["conclusion"]


def test_a_start_that_is_worse_on_test_is_not_advised(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5, 0.6], 0.75).add(2, [0.7], 0.61)
    page, results, model = study.report()
    assert results["results"][1]["gain"]["high"] < 0 and results["verdict"]["worse_on_test"]
    said = "Fine-tuning from epoch 2 came out worse on test than transfer learning alone"
    assert results["conclusion"].startswith(said) and f"<h1><strong>{said}:</strong>" in page
    for text in (page, results["conclusion"]):
        assert "This run gives no reason to fine-tune." in text
        assert "Start fine-tuning after" not in text
    assert model == study.inputs[2].model.read_bytes()  # chosen on validation all the same


@pytest.mark.parametrize(
    ("best", "untried"), [(1, None), (2, "Earlier"), (6, None), (10, "Later"), (14, None)]
)  # of 14 epochs of transfer learning
def test_no_start_is_missed_where_there_is_none(tmp_path: Path, best: int, untried: str | None) -> None:
    others = {1: (2, 4), 2: (3, 4), 6: (4, 8), 10: (4, 6), 14: (4, 6)}[best]
    study = Study(tmp_path).add(0, rising(0.4, 0.6, 14), 0.6).add(best, [0.7], 0.7)
    for other in others:
        study.add(other, [0.6], 0.6)
    conclusion = study.report()[1]["conclusion"]
    said = re.search(r"(\w+) switch epochs than the chosen one were not tried", conclusion)
    assert (said and said[1]) == untried


def test_mcnemar_by_hand() -> None:
    assert mcnemar(0, 0) == mcnemar(3, 3) == 1
    assert mcnemar(5, 0) == pytest.approx(2 / 32) and mcnemar(0, 6) == pytest.approx(2 / 64)
    assert mcnemar(7, 1) == mcnemar(1, 7) == pytest.approx(2 * (1 + 8) / 256)
    assert 0 < mcnemar(2000, 3000) < 1e-40


def interval(photos: int, won: int, lost: int) -> tuple[float, float]:
    before = [1] * won + [0] * (photos - won)
    after = [0] * won + [1] * lost + [0] * (photos - won - lost)
    found = paired([0] * photos, before, after)
    assert found["points"] == pytest.approx((won - lost) / photos * 100)
    return found["low"], found["high"]


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (3, 0), (4, 0), (0, 5), (5, 0), (7, 1), (9, 2)])
def test_a_few_photos_show_no_difference(won: int, lost: int) -> None:
    low, high = interval(300, won, lost)
    assert low <= 0 <= high


def test_photos_that_all_agree_leave_room_for_a_difference() -> None:
    # Clopper and Pearson's bound of none in 300, where each may miss in 1.25 %.
    share = 1 - 0.0125 ** (1 / 300)
    assert interval(300, 0, 0) == pytest.approx((-100 * share, 100 * share))


def test_intervals_of_a_few_photos_hold_the_difference_as_often_as_they_say() -> None:
    random, photos, shares = np.random.default_rng(3), 60, (0.06, 0.02)
    drawn = random.multinomial(photos, [*shares, 1 - sum(shares)], 400)
    held = [
        low <= 100 * (shares[0] - shares[1]) <= high for low, high in (interval(photos, *each[:2]) for each in drawn)
    ]
    assert np.mean(held) >= 0.95


def test_the_interval_is_that_of_drawing_photos() -> None:
    random = np.random.default_rng(5)
    labels = np.zeros(300, int)
    before, after = random.random(300) < 0.4, random.random(300) < 0.3
    paired = gain(*({"labels": labels.tolist(), "predicted": each.astype(int).tolist()} for each in (before, after)))
    drawn = random.integers(0, 300, (10_000, 300))
    changes = (before.astype(int) - after.astype(int))[drawn].mean(axis=1) * 100
    assert paired["points"] == pytest.approx((before.mean() - after.mean()) * 100)
    assert [paired["low"], paired["high"]] == pytest.approx(np.percentile(changes, [2.5, 97.5]), abs=0.4)
