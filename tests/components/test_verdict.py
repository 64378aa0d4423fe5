"""Comparisons of starts, and what is said of them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.report.wording import listed, more
from switchpoint.inference import differences, needed
from tests.components.studies import (
    Study,
    rising,
)


def judged(study: Study) -> tuple[str, list[int | None], int | None, str]:
    verdict = study.results()["verdict"]
    return verdict["kind"], verdict["starts"], verdict["recommended"], verdict["sentence"]


def test_a_start_that_is_ahead_of_all_is_shown_best(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5, 0.6], 0.6).add(1, [0.65], 0.65).add(2, [0.8], 0.85)
    kind, starts, recommended, sentence = judged(study)
    assert (kind, starts, recommended) == ("shown best", [2], 2)
    assert sentence.startswith("Start fine-tuning after epoch 2 of transfer learning: it names ")
    assert sentence.endswith(", and is ahead of every other start")
    assert study.results()["verdict"]["needed"] is None


def test_starts_that_are_not_told_apart_are_a_set(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5, 0.6], 0.5).add(1, [0.7], 0.7).add(2, [0.71], 0.71).add(4, [0.6], 0.5)
    kind, starts, recommended, sentence = judged(study)
    assert (kind, starts, recommended) == ("set", [1, 2], 2)
    assert sentence.startswith("Start fine-tuning after epoch 2 of transfer learning: ")
    assert sentence.endswith(", and is not told apart from fine-tuning from epoch 1")


def test_no_gain_is_said_to_be_none(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.held_out = 10_000
    study.add(0, [0.5, 0.7500], 0.60).add(1, [0.7501], 0.61).add(2, [0.735], 0.6)
    kind, starts, recommended, sentence = judged(study)
    assert (kind, starts, recommended) == ("no gain shown", [None, 1, 2], 1)
    assert sentence.startswith(
        "No gain from fine-tuning is shown: validation recommends fine-tuning from epoch 1, which "
    )
    assert "Start fine-tuning" not in study.results()["conclusion"]


def test_where_choice_and_test_disagree_the_sentence_says_so(tmp_path: Path) -> None:
    """Validation decides what is recommended and published; test says what is known of it."""

    def said(name: str, *starts: tuple[int, float, float]) -> str:
        (tmp_path / name).mkdir()
        study = Study(tmp_path / name)
        for switch_epoch, validation, test in starts:
            study.add(switch_epoch, [validation], test)
        return judged(study)[3]

    # A start that test does not tell apart from the highest is not said to be level with one that it is ahead of.
    noisy = said("noisy", (0, 0.6, 0.5), (1, 0.7, 0.6), (2, 0.6, 0.62), (4, 0.6, 0.3))
    assert noisy.endswith(", and is not told apart from fine-tuning from epoch 2")
    worse = said("worse", (0, 0.6, 0.75), (2, 0.7, 0.61))
    assert worse.startswith("Fine-tuning from epoch 2 came out worse on test than transfer learning alone: ")
    behind = said("behind", (0, 0.6, 0.5), (1, 0.7, 0.6), (2, 0.6, 0.8))
    assert behind.startswith(
        "Validation recommends fine-tuning from epoch 1, but on test it is behind fine-tuning from epoch 2: "
    )
    other = said("other", (0, 0.6, 0.51), (1, 0.7, 0.54), (2, 0.6, 0.56))
    assert other.startswith(
        "Validation recommends fine-tuning from epoch 1, but test shows a gain of fine-tuning from epoch 2 alone: "
        "fine-tuning from epoch 1 names "
    )
    alone = said("alone", (0, 0.7, 0.5), (1, 0.6, 0.7), (2, 0.6, 0.72))
    behind_two = "but on test it is behind fine-tuning from epochs 1 and 2: it names"
    assert alone.startswith(f"Validation recommends transfer learning alone, {behind_two}")


def test_as_many_photos_as_it_would_take_show_the_difference_in_four_of_five_cases() -> None:
    random = np.random.default_rng(0)

    def drawn(photos: int) -> Any:
        """Two starts 4 points apart, under one seed, and two that are as good as the first."""
        easy, other = random.random(photos), random.random((4, photos))
        shares = np.array([0.7, 0.74, 0.7, 0.7])[:, None]
        return np.where(other < 0.8, easy < shares, random.random((4, photos)) < shares)[:, None]

    _, enough = needed(drawn(2000), (1, 0), 0.04)
    assert enough and 500 < enough < 5000
    shown = [
        differences(drawn(enough), [(1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2)])[0].low > 0 for _ in range(200)
    ]
    assert 0.7 < np.mean(shown) < 0.9
    assert (needed(drawn(2000), (1, 0), 0.08)[1] or 0) < enough
    assert needed(drawn(200), (1, 0), 0.04)[0] is None  # one seed tells nothing of seeds


def test_a_start_that_diverged_does_not_blur_the_others() -> None:
    random = np.random.default_rng(1)
    easy = random.random(300)
    right = np.array([[easy + 0.1 * random.normal(size=300) < share] * 3 for share in (0.6, 0.6, 0.75, 0.6)])
    right ^= random.random(right.shape) < 0.02
    (alone,) = differences(right[:3], [(2, 0)])
    right[3, 1] = False  # a training that came to nothing
    (with_it,) = differences(right, [(2, 0)])
    (kept_apart,) = differences(right, [(2, 0)], unsteady=[3])
    assert alone.low > 0 and with_it.low < 0 < kept_apart.low
    (its_own,) = differences(right, [(3, 0)], unsteady=[3])
    assert its_own.high - its_own.low > 3 * (kept_apart.high - kept_apart.low)


@pytest.mark.parametrize(
    ("needs", "seeds", "said"),
    [
        ((5, 2617), 3, "To see a difference of 2 points between fine-tuning from epoch 1 and transfer learning alone "
         "takes about 5 seeds, or about 2,600 test photos."),
        ((None, 2600), 1, "takes about 2,600 test photos; how far other seeds would move it, one seed can't tell."),
        ((12, None), 3, "takes about 12 seeds."),
        ((None, None), 3, "Neither more seeds nor more test photos alone would show a difference of 2 points"),
        ((2, 100), 3, "The test photos would in four of five cases have shown a difference of 2 points between"),
    ],
)  # fmt: skip
def test_what_it_would_take_in_words(needs: tuple[int | None, int | None], seeds: int, said: str) -> None:
    text = more({"start": 1, "against": None, "points": 2.0, "seeds": needs[0], "photos": needs[1]}, seeds, 300)
    assert said in text


def test_starts_are_named_as_people_do() -> None:
    assert listed([None]) == "transfer learning alone"
    assert listed([None, 4]) == "transfer learning alone and fine-tuning from epoch 4"
    assert listed([1, 2, 4]) == "fine-tuning from epochs 1, 2 and 4"
    assert listed([1, 2, 3, 4, 8, 10]) == "fine-tuning from epochs 1 to 4, 8 and 10"
    assert listed([1, 2, 3]) == "fine-tuning from epochs 1 to 3"


@pytest.mark.parametrize(
    ("best", "untried"), [(1, None), (2, "Earlier"), (6, None), (10, "Later"), (14, None)]
)  # of 14 epochs of transfer learning
def test_no_start_is_missed_where_there_is_none(tmp_path: Path, best: int, untried: str | None) -> None:
    others = {1: (2, 4), 2: (3, 4), 6: (4, 8), 10: (4, 6), 14: (4, 6)}[best]
    study = Study(tmp_path).add(0, rising(0.4, 0.6, 14), 0.6).add(best, [0.7], 0.7)
    for other in others:
        study.add(other, [0.6], 0.6)
    said = re.search(r"(\w+) switch epochs than the recommended one were not tried", study.results()["conclusion"])
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
    study = Study(tmp_path).add(0, [0.6], 0.6).add(1, [0.7], 0.7).add(2, [0.7], 0.71).add(4, [0.8], 0.8)
    results = study.results()
    found = {(each["start"], each["against"]): each for each in results["differences"]}
    assert set(found) == {(1, None), (2, None), (2, 1), (4, None), (4, 1), (4, 2)}
    for row in results["starts"][1:]:
        assert {name: found[row["switch_epoch"], None][name] for name in ("points", "low", "high")} == row["gain"]
    assert found[4, 1]["low"] > 0 and found[2, 1]["low"] < 0 < found[2, 1]["high"]
