"""The report: its numbers, its choice, what it refuses."""

import json
import re
from html import unescape
from pathlib import Path

import pytest

from switchpoint.command.parameters import meanings, parameters
from switchpoint.errors import RecordsError
from tests.components.studies import (
    RATE,
    Study,
    cells,
    rising,
    whole_study,
)


def test_numbers_on_the_page_are_those_of_the_results(tmp_path: Path) -> None:
    study = whole_study(tmp_path)
    page, results, _ = study.report()
    rows = results["starts"]
    assert [row["switch_epoch"] for row in rows] == [None, 1, 2, 4, 8, 14]
    for row, training, shown in zip(rows, results["results"], cells(page), strict=True):
        expected = [str(training["best_epoch"])]
        expected += [f"{row[key] * 100:.1f} %" for key in ("validation_accuracy", "test_accuracy", "test_top_5")]
        expected += [f"{row['test_loss']:.3f}"]
        gained = row["gain"] and "{:+.1f} ({:+.1f} to {:+.1f})".format(*row["gain"].values()).replace("-", "−")
        assert shown[1:] == [*expected, gained or "–", f"{row['seconds']:,.1f}"]
        assert {key: row[key] for key in row.keys() & training.keys() - {"diverged"}} == {
            key: training[key] for key in row.keys() & training.keys() - {"diverged"}
        }
    best = rows[3]
    sentence = first_sentence(page)
    assert sentence.startswith("Start fine-tuning after epoch 4 of transfer learning: it names ")
    assert sentence == f"{results['verdict']['sentence']}."
    assert f"{best['test_accuracy'] * 100:.1f} %" in sentence
    assert f"+{best['gain']['points']:.1f} points" in sentence
    assert results["conclusion"] in unescape(page).replace("\N{NO-BREAK SPACE}", " ")
    assert results["photos"] == {"test": 300}
    assert study.digests["model"] == results["best"]["model_digest"] == "digest-of-4"


def first_sentence(page: str) -> str:
    said = page.split("<h1>")[1].split("</h1>")[0]
    return unescape(re.sub("<[^>]+>", "", said)).replace("\N{NO-BREAK SPACE}", " ")


def test_several_seeds_are_meant_and_each_is_there(tmp_path: Path) -> None:
    study = whole_study(tmp_path, seeds=(1, 2, 3))
    page, results, model = study.report()
    assert [(row["switch_epoch"], row["seed"]) for row in results["results"][:4]] == [
        (None, 1),
        (None, 2),
        (None, 3),
        (1, 1),
    ]
    for start in results["starts"]:
        rows = [row for row in results["results"] if row["switch_epoch"] == start["switch_epoch"]]
        assert start["seeds"] == [1, 2, 3] == [row["seed"] for row in rows]
        for name in ("validation_accuracy", "test_accuracy", "test_loss"):
            assert start[name] == pytest.approx(sum(row[name] for row in rows) / 3)
        assert start["gain"] is None or start["gain"]["points"] == pytest.approx(
            100 * (start["test_accuracy"] - results["starts"][0]["test_accuracy"])
        )
    # The model kept is the recommended start's of the seed that validation likes best.
    best, recommended = results["best"], results["verdict"]["recommended"]
    rivals = [row for row in results["results"] if row["switch_epoch"] == recommended]
    chosen = max(rivals, key=lambda row: row["validation_accuracy"])
    assert best == {name: chosen[name] for name in ("switch_epoch", "learning_rate", "seed", "model_digest")}
    assert model == study.files(recommended, best["seed"]).model.read_bytes()
    assert results["metrics"]["seed"] == best["seed"]
    assert "on average over 3 seeds" in first_sentence(page)
    assert "validation, lowest to highest seed" in page and "kept epoch</li>" not in page
    (value,) = re.findall(r'<tr><th scope="row">seeds</th><td data-label="Value">([^<]+)', page)
    assert value == "1, 2, 3"


def test_seeds_with_other_starts_are_refused(tmp_path: Path) -> None:
    study = Study(tmp_path)
    for seed in (1, 2):
        study.add(0, [0.5], 0.5, seed).add(1, [0.6], 0.6, seed)
    with pytest.raises(RecordsError, match=r"Seed 1 has \[\[0, .*\]\], seed 2 .*\[2, 0\.0003\]\]\. Run collect"):
        study.add(2, [0.6], 0.6, 2).results()


def test_the_best_is_chosen_on_validation_not_on_test(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5, 0.6], 0.6).add(1, [0.7], 0.65).add(2, [0.6], 0.9)
    page, results, model = study.report()
    assert results["best"] == {"switch_epoch": 1, "learning_rate": RATE, "seed": 1, "model_digest": "digest-of-1"}
    assert model == study.files(1).model.read_bytes()
    assert "<strong>Validation recommends fine-tuning from epoch 1, but on test it is behind fine-tuning" in page


def test_of_equals_the_latest_is_recommended(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5, 0.6], 0.6)
    for switch_epoch, loss in ((1, 0.9), (2, 1.0)):
        study.add(switch_epoch, [0.7], 0.7, validation_loss=loss)
    assert study.results()["best"]["switch_epoch"] == 2


def test_transfer_learning_alone_can_be_the_answer(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5, 0.7], 0.7).add(1, [0.6], 0.7)
    page, results, model = study.report()
    assert results["best"]["switch_epoch"] is None
    assert model == study.files(0).model.read_bytes()
    assert "<strong>Stay with transfer learning alone:" in page
    assert "includes 0: no difference is shown" in page


def test_transfer_learning_without_any_switch_epoch(tmp_path: Path) -> None:
    page, results, _ = Study(tmp_path).add(0, [0.5, 0.7], 0.7).report()
    assert len(results["results"]) == 1
    assert "no switch epoch was tried." in page
    assert "Every switch epoch" not in page


def test_a_diverged_run_is_a_result(tmp_path: Path) -> None:
    stop = {"epoch": 1, "step": 3, "learning_rate": 0.01}
    study = Study(tmp_path).add(0, [0.5, 0.6], 0.6).add(2, [], 0.6, diverged=stop, validation_accuracy=0.6)
    study.add(1, [0.55, 0.2], 0.5, diverged=stop | {"epoch": 3})
    page, results, _ = study.report()
    assert [row["diverged"] for row in results["results"]] == [False, True, True]
    assert results["results"][2]["best_epoch"] == 0
    assert page.count('<b class="diverged">') == 2
    assert "Fine-tuning from epoch 2 diverged in its epoch 1, step 3, at learning rate 0.01" in results["conclusion"]


def test_class_names_are_data(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    study = Study(tmp_path, [evil, "b & c", "d"]).add(0, [0.5], 0.5).add(1, [0.6], 0.6)
    page, _, _ = study.report()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;/1: the model says" in page  # a photo's name


def test_the_first_screen_tells_of_photos_that_are_there_twice_or_left_out(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6)
    before, _, _ = study.report("before")
    assert "more than once" not in before and "left out" not in before
    study.left_out, study.duplicates = 7, {"across splits": 3, "within a class": 1}
    page, _, _ = study.report()
    first = unescape(page.split("</h1>")[1].split("<table")[0]).replace("\N{NO-BREAK SPACE}", " ")
    assert "3 photos are in more than one of train, validation and test, which flatters the result" in first
    assert "1 photo is more than once in the same class and split." in first
    assert "7 of 1,300 photos could not be read and were left out." in first
    assert 'href="look.html"' in first


def test_what_leaked_photos_do_to_test_accuracy_is_said(tmp_path: Path) -> None:
    study = whole_study(tmp_path)
    before, results, _ = study.report()
    assert results["leaked"] is None and "--leaks" not in before
    evaluation = json.loads(study.files(4).evaluation.read_text())
    right = [label == said for label, said in zip(evaluation["labels"], evaluation["predicted"], strict=True)]
    study.leaked = [number for number, hit in enumerate(right) if hit][:30]
    page, results, _ = study.report("leaked")
    row = next(each for each in results["leaked"]["starts"] if each["switch_epoch"] == 4)
    assert results["leaked"]["photos"] == 30 and len(results["leaked"]["starts"]) == 6
    assert row["without"] == pytest.approx((sum(right) - 30) / 270)
    change = f"{(row['without'] - row['test_accuracy']) * 100:.1f}".replace("-", "−")
    first = unescape(page.split("</h1>")[1].split("<table")[0]).replace("\N{NO-BREAK SPACE}", " ")
    assert "30 of 300 test photos are in training or validation, too. Without them fine-tuning from epoch 4" in first
    assert f"({change} points)" in first
    assert f"({change} points)." in results["conclusion"].replace("\N{NO-BREAK SPACE}", " ")
    study.leaked = list(range(300))
    page, results, _ = study.report("all")
    assert results["leaked"]["starts"][0]["without"] is None and "the test figures say nothing" in page


def test_order_changes_nothing_and_bytes_repeat(tmp_path: Path) -> None:
    study = whole_study(tmp_path)
    first = study.report("first"), study.digests
    assert (study.report("second", backwards=True), study.digests) == first


def test_evaluations_of_other_photos_are_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5)
    study.photos_a_class = 24
    with pytest.raises(RecordsError, match="same test photos"):
        study.add(1, [0.6], 0.6).results()


def test_leaked_photos_of_other_records_are_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6)
    study.records = "s" * 64
    with pytest.raises(RecordsError, match=r"of the records s{64}, but evaluations are of r{64}\. Run prepare again"):
        study.report()


def test_the_photos_that_tell_most_are_on_the_page_for_who_opens_them(tmp_path: Path) -> None:
    page, _, _ = whole_study(tmp_path).report()
    closed = page.split("<details><summary>The test photos that tell most of it")[1].split("</details>")[0]
    assert closed.count('<img src="data:image/jpeg;base64,') == page.count("<img") == 2
    assert "Most confident mistakes" in closed and "Least sure hits" in closed
    assert "The Kubeflow UI leaves out photos that are inside a page: download" in closed


def test_101_classes_stay_under_2_mb_however_bad_the_model(tmp_path: Path) -> None:
    classes = [f"A rather long dish name {number}" for number in range(101)]
    study = Study(tmp_path, classes, 250).add(0, [0.1], 0.05).add(1, [0.1], 0.05)
    page, _, _ = study.report()
    assert len(page.encode()) < 2_000_000


def test_every_switch_epoch_has_its_colour_and_ids_are_unique(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, rising(0.4, 0.7, 14), 0.7)
    for switch_epoch in range(1, 11):
        study.add(switch_epoch, [0.6], 0.7)
    page, _, _ = study.report()
    for scheme in page.split("--s0:")[1:3]:
        colours = re.findall(r"--s\d+:(#[0-9a-f]{6})", scheme.split("}")[0])
        assert len(set(colours)) == len(colours) == 10
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert not re.search("#0a0b|#0[123]0[123]0[123]", page)


def test_the_parameters_are_explained_in_the_pipelines_own_words(tmp_path: Path) -> None:
    page, _, _ = whole_study(tmp_path).report()
    rows = re.findall(r'<tr><th scope="row">(\w+)</th>', page.split("<h2>All parameters</h2>")[1])
    assert {"dataset", "weights", "switch_epochs", "batch_size"} <= set(rows) <= set(parameters())
    for name in rows:
        assert meanings()[name] in unescape(page)


def test_a_start_is_compared_at_the_learning_rate_that_validation_prefers(tmp_path: Path) -> None:
    """On test the other rate is the better one: it must not be looked at."""
    study = Study(tmp_path).add(0, [0.5], 0.5)
    study.add(1, [0.6], 0.6, rate=1e-4).add(1, [0.7], 0.55)
    study.add(2, [0.66], 0.62, rate=1e-4).add(2, [0.61], 0.7)
    page, results, model = study.report()
    assert [(row["switch_epoch"], row["learning_rate"]) for row in results["results"]] == [
        (None, None), (1, 1e-4), (1, RATE), (2, 1e-4), (2, RATE),
    ]  # fmt: skip
    assert [(row["switch_epoch"], row["learning_rate"]) for row in results["starts"]] == [
        (None, None), (1, RATE), (2, 1e-4),
    ]  # fmt: skip
    assert {(each["start"], each["against"]) for each in results["differences"]} == {(1, None), (2, None), (2, 1)}
    assert results["best"] == {"switch_epoch": 1, "learning_rate": RATE, "seed": 1, "model_digest": "digest-of-1"}
    assert "at a learning rate of 0.0003, the best for it of those tried" in results["verdict"]["why"]
    assert model == study.files(1).model.read_bytes()
    grid = page.split('<table class="grid">')[1].split("</table>")[0]
    assert re.findall(r"<t[dh][^>]*>([\d.]+ %|epoch \d|[\de.-]+)<", grid) == [
        "0.0001", "0.0003", "epoch 1", "60.0 %", "70.0 %", "epoch 2", "66.0 %", "61.0 %",
    ]  # fmt: skip
    assert [cell.count("kept") for cell in grid.split("<td")[1:]] == [0, 1, 1, 0]
    assert "Learning rate" in page.split("<tbody>")[0]


def test_of_several_seeds_the_rate_is_that_with_the_best_mean(tmp_path: Path) -> None:
    study = Study(tmp_path)
    for seed, low, high in ((1, 0.6, 0.7), (2, 0.7, 0.65), (3, 0.7, 0.66)):
        study.add(0, [0.5], 0.5, seed).add(1, [low], 0.6, seed, rate=1e-4).add(1, [high], 0.6, seed)
    results = study.results()
    assert results["starts"][1]["learning_rate"] == RATE  # 2.01 against 2.00
    assert len(results["results"]) == 3 * 3


def searched(directory: Path) -> Study:
    """Four starts at two rates; two candidates are left."""
    first = {(epoch, rate): [0.5, 0.5, 0.5 + epoch / 50 + 10 * rate] for epoch in (1, 2, 3, 4) for rate in (1e-4, RATE)}
    second = {key: [*values, 0.6 + key[0] / 50] for key, values in first.items() if key[0] > 2}
    study = Study(directory).add(0, rising(0.4, 0.6, 4), 0.6)
    study.add(4, [*second[4, 1e-4], *rising(0.68, 0.7, 6)], 0.66, rate=1e-4)
    return study.add(4, [*second[4, RATE], *rising(0.69, 0.75, 6)], 0.7).searched(first, second)


def test_a_search_says_what_it_spent_and_who_was_eliminated_when(tmp_path: Path) -> None:
    page, results, _ = searched(tmp_path).report()
    assert results["search"] == {
        "epochs": 4 * 3 + 2 * 4 + 2 * 10,
        "sweep_epochs": 8 * 10,
        "rungs": [
            {"epochs": 3, "candidates": 8, "survivors": 4},
            {"epochs": 4, "candidates": 4, "survivors": 2},
        ],
    }
    assert [(row["switch_epoch"], row["learning_rate"], row["rung"]) for row in results["results"]] == [
        (None, None, None), (4, 1e-4, None), (4, RATE, None),
        (1, 1e-4, 1), (1, RATE, 1), (2, 1e-4, 1), (2, RATE, 1), (3, 1e-4, 2), (3, RATE, 2),
    ]  # fmt: skip
    lost = [row for row in results["results"] if row["rung"]]
    assert {row[name] for row in lost for name in ("test_accuracy", "test_top_5", "test_loss")} == {None}
    assert [row["switch_epoch"] for row in results["starts"]] == [None, 4]
    text = unescape(re.sub("<[^>]+>", "", page)).replace("\N{NO-BREAK SPACE}", " ")
    assert "spent 40 epochs of fine-tuning; a sweep of all candidates would\nspend 80 at most" in text
    assert "after epoch 3, 4 of 8 went on; after epoch 4, 2 of 4 went on" in text
    grid = page.split('<table class="grid">')[1].split("</table>")[0]
    assert grid.count("eliminated after 3") == 4 and grid.count("eliminated after 4") == 2


def test_a_search_of_other_candidates_is_refused(tmp_path: Path) -> None:
    study = searched(tmp_path).add(3, [0.6], 0.6)
    with pytest.raises(RecordsError, match=r"trained to its end is .*epoch 3"):
        study.report()


def test_with_one_learning_rate_there_is_no_grid(tmp_path: Path) -> None:
    page, _, _ = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6).report()
    assert 'class="grid"' not in page and "Learning rate</th>" not in page.split("<tbody>")[0]
