"""Comparisons of starts, and what is said of them."""

import re
from pathlib import Path

import numpy as np
import pytest

from components.report.inference import differences
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


def interval(photos: int, won: int, lost: int) -> tuple[float, float]:
    right = np.zeros((2, 1, photos), bool)
    right[1, 0, :won] = right[0, 0, won : won + lost] = True
    (found,) = differences(right)
    assert found.share == pytest.approx((won - lost) / photos)
    return found.low, found.high


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (3, 0), (4, 0), (0, 5), (5, 0), (7, 1), (9, 2)])
def test_a_few_photos_show_no_difference(won: int, lost: int) -> None:
    low, high = interval(300, won, lost)
    assert low <= 0 <= high  # McNemar's exact test agrees: 5 to 0 has p = 0.062, 7 to 1 0.070, 9 to 2 0.065


def test_intervals_of_a_few_photos_hold_the_difference_as_often_as_they_say() -> None:
    random, photos, shares = np.random.default_rng(3), 60, (0.06, 0.02)
    drawn = random.multinomial(photos, [*shares, 1 - sum(shares)], 400)
    held = [low <= shares[0] - shares[1] <= high for low, high in (interval(photos, *each[:2]) for each in drawn)]
    assert np.mean(held) >= 0.95


def test_every_start_is_compared_with_every_other(tmp_path: Path) -> None:
    """In the JSON; those against transfer learning alone are the gains."""
    _, results, _ = (
        Study(tmp_path).add(0, [0.6], 0.6).add(1, [0.7], 0.7).add(2, [0.7], 0.71).add(4, [0.8], 0.8).report()
    )
    found = {(each["start"], each["against"]): each for each in results["differences"]}
    assert set(found) == {(1, None), (2, None), (2, 1), (4, None), (4, 1), (4, 2)}
    for row in results["results"][1:]:
        assert {name: found[row["switch_epoch"], None][name] for name in ("points", "low", "high")} == row["gain"]
    assert found[4, 1]["low"] > 0 and found[2, 1]["low"] < 0 < found[2, 1]["high"]
