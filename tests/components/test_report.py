"""The report: its numbers, its choice, what it refuses."""

import json
import re
import zipfile
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from switchpoint.command.parameters import meanings, parameters
from switchpoint.errors import RecordsError
from switchpoint.provenance.digests import json_digest
from tests.components.studies import (
    Study,
    cells,
    rising,
    whole_study,
)


def test_numbers_on_the_page_are_those_of_the_results(tmp_path: Path) -> None:
    study = whole_study(tmp_path)
    page, results, _ = study.report()
    rows = results["results"]
    assert [row["switch_epoch"] for row in rows] == [None, 1, 2, 4, 8, 14]
    for row, shown in zip(rows, cells(page), strict=True):
        expected = [str(row["best_epoch"])]
        expected += [f"{row[key] * 100:.1f} %" for key in ("validation_accuracy", "test_accuracy", "test_top_5")]
        expected += [f"{row['test_loss']:.3f}"]
        gained = row["gain"] and "{:+.1f} ({:+.1f} to {:+.1f})".format(*row["gain"].values()).replace("-", "−")
        assert shown[1:] == [*expected, gained or "–", f"{row['seconds']:,.1f}"]
    best = rows[3]
    page = unescape(page).replace("\N{NO-BREAK SPACE}", " ")
    sentence = re.sub("<[^>]+>", "", page.split("<h1>")[1].split("</h1>")[0])
    lead = "Fine-tuning from epoch 4 is not told apart from fine-tuning from epoch 8"
    assert sentence.startswith(f"{lead}: best on validation (")
    for number in (best["validation_accuracy"], best["test_accuracy"]):
        assert f"{number * 100:.1f} %" in sentence
    assert f"+{best['gain']['points']:.1f} points" in sentence
    assert results["conclusion"] in page
    assert results["photos"] == {"test": 300}
    assert study.digests["model"] == results["best"]["model_digest"] == "digest-of-4"


def test_the_best_is_chosen_on_validation_not_on_test(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5, 0.6], 0.6).add(1, [0.7], 0.65).add(2, [0.69], 0.9)
    page, results, model = study.report()
    assert results["best"] == {"switch_epoch": 1, "model_digest": "digest-of-1"}
    assert model == study.inputs[1].model.read_bytes()
    assert "<strong>Fine-tuning from epoch 1 is not told apart from fine-tuning from epoch 2:" in page


@pytest.mark.parametrize(("losses", "best"), [((1.0, 0.9), 2), ((1.0, 1.0), 1), ((None, 1.0), 2)])
def test_a_tie_goes_to_the_lower_loss_then_to_fewer_epochs(tmp_path: Path, losses: Any, best: int) -> None:
    study = Study(tmp_path).add(0, [0.5, 0.6], 0.6)
    for switch_epoch, loss in enumerate(losses, 1):
        study.add(switch_epoch, [0.7], 0.7, validation_loss=loss)
    assert study.report()[1]["best"]["switch_epoch"] == best


def test_transfer_learning_alone_can_be_the_answer(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5, 0.7], 0.7).add(1, [0.6], 0.7)
    page, results, model = study.report()
    assert results["best"]["switch_epoch"] is None
    assert model == study.inputs[0].model.read_bytes()
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


def test_order_changes_nothing_and_bytes_repeat(tmp_path: Path) -> None:
    study = whole_study(tmp_path)
    first = study.report("first"), study.digests
    assert (study.report("second", backwards=True), study.digests) == first


def test_evaluations_of_other_photos_are_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5)
    study.photos_a_class = 24
    with pytest.raises(RecordsError, match="same test photos"):
        study.add(1, [0.6], 0.6).report()


def test_an_evaluation_beside_another_history_is_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6).add(2, [0.6], 0.6)
    study.inputs[1] = study.inputs[1]._replace(evaluation=study.inputs[2].evaluation)
    with pytest.raises(RecordsError, match=r"histories of switch epochs \[0, 1, 2\] and evaluations of \[0, 2, 2\]"):
        study.report()


@pytest.mark.parametrize("kind", ["history", "model", "evaluation"])
def test_files_of_two_trainings_are_refused(tmp_path: Path, kind: str) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6).add(2, [0.65], 0.65)
    first, second = study.inputs[1], study.inputs[2]
    study.inputs[1] = first._replace(**{kind: getattr(second, kind)})
    study.inputs[2] = second._replace(**{kind: getattr(first, kind)})
    one, two = (f"fine-tuning from epoch {epoch} \\(model digest-of-{epoch}\\)" for epoch in (1, 2))
    message = f"the history is of {one}, the evaluation is of {one}, the model file is of {two}. Run finetune"
    message = message if kind == "model" else "histories of switch epochs"
    with pytest.raises(RecordsError, match=message):
        study.report()


def test_an_evaluation_of_another_model_of_the_same_start_is_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6, model_digest="digest-of-another-seed")
    with pytest.raises(RecordsError, match=r"history is of fine-tuning from epoch 1 \(model digest-of-anoth"):
        study.report()


def test_a_model_file_that_was_changed_since_it_was_evaluated_is_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6)
    with zipfile.ZipFile(study.inputs[1].model, "a") as archive:
        archive.writestr("model.weights.h5", b"other weights")
    with pytest.raises(RecordsError, match="model-1 is not the file that belongs to the evaluation"):
        study.report()


def test_the_photos_that_tell_most_are_on_the_page_for_who_opens_them(tmp_path: Path) -> None:
    page, _, _ = whole_study(tmp_path).report()
    closed = page.split("<details><summary>The test photos that tell most of it")[1].split("</details>")[0]
    assert closed.count('<img src="data:image/jpeg;base64,') == page.count("<img") == 2
    assert "Most confident mistakes" in closed and "Least sure hits" in closed
    assert "The Kubeflow UI leaves out photos that are inside a page: download" in closed


@pytest.mark.parametrize(
    ("kind", "step", "changes", "its_own_digest_too"),
    [
        ("evaluation", "evaluate", {"top_1": 1.0}, False),
        ("evaluation", "evaluate", {"top_5": 1.0}, True),
        ("evaluation", "evaluate", {"digest": "another"}, False),
        ("history", "finetune", {"validation_accuracy": 0.99}, False),
        ("history", "finetune", {"diverged": {"epoch": 1, "step": 1, "learning_rate": 0.1}}, False),
    ],
)
def test_a_file_that_was_edited_is_refused(
    tmp_path: Path, kind: str, step: str, changes: dict[str, Any], its_own_digest_too: bool
) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6)
    path: Path = getattr(study.inputs[1], kind)
    edited = json.loads(path.read_text()) | changes
    if its_own_digest_too:
        edited["digest"] = json_digest(edited, "digest", "lineage")
    path.write_text(json.dumps(edited))
    with pytest.raises(RecordsError, match=rf"{kind}-1 is not what {step} wrote: .*Run {step} again: on this machine"):
        study.report()


def test_a_model_that_is_not_its_artifacts_is_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5)
    history, _ = study.inputs[0].digests
    study.inputs[0] = study.inputs[0]._replace(digests=(history, "digest-of-another-seed"))
    with pytest.raises(RecordsError, match="model-0 is not what transfer wrote"):
        study.report()


def test_an_evaluation_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5)
    path = study.inputs[0].evaluation
    edited = json.loads(path.read_text()) | {"top_1": 1.0}
    path.write_text(json.dumps(edited | {"digest": json_digest(edited, "digest", "lineage")}))
    with pytest.raises(RecordsError, match=r"top_1 is 1.0, and names \d+ of 300 photos right"):
        study.wrote(0).report()


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
