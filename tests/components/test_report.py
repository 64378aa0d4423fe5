"""The report: its numbers, its choice, its page in a browser."""

import json
import re
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.evaluate.measures import calibration, confused_pairs, most_confused, per_class
from components.report.paired import mcnemar, paired
from components.report.step import Outputs, ReportConfig, Trained, gain, report
from switchpoint.command.parameters import meanings, parameters
from switchpoint.errors import RecordsError
from switchpoint.provenance.digests import file_digest
from switchpoint.provenance.metadata import MEMBER, describe
from tests.support import unavailable

CHROMIUM = Path("/usr/bin/chromium")
PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def write_model(path: Path, switch_epoch: int) -> None:
    """A file with the lineage of a model, and nothing that Keras could load."""

    def entry(step: str, **parameters: Any) -> dict[str, Any]:
        return {"step": step, "digest": f"digest-of-{switch_epoch}", "code_digest": "c" * 64, "parameters": parameters}

    document: dict[str, Any] = {
        "format": 1,
        "model": entry("finetune", switch_epoch=switch_epoch) if switch_epoch else entry("transfer", epochs=14),
        "records": entry("prepare", image_size=64) | {"photos": {"train": 9, "validation": 1, "test": 3}},
    }
    if switch_epoch:
        document["checkpoints"] = entry("transfer") | {"epoch": switch_epoch, "epoch_digest": "e" * 64}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER), json.dumps(document))


def write_history(path: Path, switch_epoch: int, accuracies: list[float], **changes: Any) -> None:
    """A plausible history: validation accuracies given, the rest follows from them."""
    epochs = [
        {
            "epoch": number,
            "loss": 3.2 * (1 - value) + 0.2 - 0.01 * number,
            "categorical_accuracy": value - 0.03 + 0.006 * number,
            "val_loss": 3.4 * (1 - value) + 0.25,
            "val_categorical_accuracy": value,
            "learning_rate": 1e-3,
        }
        for number, value in enumerate(accuracies, 1)
    ]
    best = max(epochs, key=lambda row: row["val_categorical_accuracy"], default=None)
    history = {
        "phase": "finetune" if switch_epoch else "transfer",
        "switch_epoch": switch_epoch,
        "epochs": epochs,
        "seconds": [12.3 if switch_epoch else 3.1] * len(epochs),
        "best_epoch": best["epoch"] if best else 0,
        "validation_accuracy": best["val_categorical_accuracy"] if best else 0.5,
        "validation_loss": best["val_loss"] if best else None,
        "diverged": None,
        "model_digest": f"digest-of-{switch_epoch}",
    }
    path.write_text(json.dumps(history | changes))


def write_evaluation(
    path: Path, switch_epoch: int, classes: list[str], accuracy: float, photos_a_class: int, **more: Any
) -> None:
    """Predictions that are right at about `accuracy`; mistakes prefer a class's two neighbours."""
    random = np.random.default_rng(switch_epoch)
    labels = np.repeat(np.arange(len(classes)), photos_a_class)
    # One difficulty a photo for all models, as in life: paired predictions agree on most photos.
    hard = np.random.default_rng(99).random(len(labels)) * 0.9 + 0.1 * random.random(len(labels))
    near = (labels + random.choice([1, -1, 2, 5], len(labels), p=[0.4, 0.2, 0.2, 0.2])) % len(classes)
    far = random.integers(0, len(classes), len(labels))
    predicted = np.where(hard < accuracy, labels, np.where(random.random(len(labels)) < 0.6, near, far))
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, predicted), 1)
    right = float((predicted == labels).mean())
    evaluation = {
        "switch_epoch": switch_epoch,
        "photos": len(labels),
        "classes": classes,
        "top_1": right,
        "top_5": min(1.0, right + 0.2),
        "loss": 3 * (1 - right) + 0.2,
        "confusion": confusion.tolist(),
        "labels": labels.tolist(),
        "predicted": predicted.tolist(),
        "confidence": [0.5] * len(labels),
        "calibration": calibration([0.5] * len(labels), (predicted == labels).tolist()),
        "per_class": per_class(confusion.tolist(), classes),
        "confused_pairs": confused_pairs(confusion.tolist(), classes),
        "most_confused": most_confused(confusion.tolist()),
        "model_digest": f"digest-of-{switch_epoch}",
        "digest": "d",
    }
    path.write_text(json.dumps(evaluation | more))


def answers(right: int, photos: int, classes: int, first: int = 0) -> dict[str, list[int]]:
    """Labels and predictions of photos of which those from `first` on, `right` of them, are named right."""
    labels = [number % classes for number in range(photos)]
    hit = {(first + number) % photos for number in range(right)}
    predicted = [label if number in hit else (label + 1) % classes for number, label in enumerate(labels)]
    return {"labels": labels, "predicted": predicted}


CLASSES = ["Apple pie", "Baby back ribs", "Beet salad", "Bibimbap", "Edamame", "French toast"]
CLASSES += ["Ice cream", "Macaroni and cheese", "Pizza", "Ramen", "Steak", "Sushi"]


class Study:
    """Files of a whole study in a directory, and its report."""

    def __init__(self, directory: Path, classes: list[str] = CLASSES, photos_a_class: int = 25) -> None:
        self.directory, self.classes, self.photos_a_class = directory, classes, photos_a_class
        self.inputs: dict[int, Trained] = {}
        self.held_out = 400  # validation photos
        self.left_out, self.duplicates = 0, dict[str, int]()

    def add(self, switch_epoch: int, accuracies: list[float], test: float, **changes: Any) -> "Study":
        paths = tuple(
            self.directory / f"{kind}-{switch_epoch}" for kind in ("history", "model", "evaluation", "photos")
        )
        history, model, evaluation, photos = paths
        write_history(history, switch_epoch, accuracies, **changes)
        write_model(model, switch_epoch)
        said = {"true": self.classes[0], "predicted": self.classes[1], "runner_up": self.classes[0]}
        shares = {"true_probability": 0.1, "predicted_probability": 0.8, "runner_up_probability": 0.1}
        photo = {"name": f"{self.classes[0]}/1", "jpeg": PIXEL} | said | shares
        photos.write_text(json.dumps({"mistakes": [photo], "hits": [photo | {"true": self.classes[1]}]}))
        right = round(json.loads(history.read_text())["validation_accuracy"] * self.held_out)
        validation = answers(right, self.held_out, len(self.classes), first=switch_epoch)
        more = {"validation": validation, "model_file": file_digest(model), "photos_file": file_digest(photos)}
        write_evaluation(evaluation, switch_epoch, self.classes, test, self.photos_a_class, **more)
        self.inputs[switch_epoch] = Trained(history, model, evaluation, photos)
        return self

    def report(self, name: str = "out", backwards: bool = False) -> tuple[str, dict[str, Any], bytes]:
        finetunes = [self.inputs[key] for key in sorted(self.inputs, reverse=backwards) if key]
        outputs = Outputs(*(self.directory / name / kind for kind in Outputs._fields))
        source, pretrained = self.directory / "source", self.directory / "pretrained"
        counts = {"classes": 12, "photos": 1300, "left_out": self.left_out, "duplicates": self.duplicates}
        source.write_text(json.dumps({"dataset": "photos/food", "digest": "d" * 64, **counts}))
        pretrained.write_text(json.dumps({"backbone": "lite0", "weights": "imagenet", "digest": "w" * 64}))
        evaluated = describe("Evaluation", "evaluate", {"batch_size": 8}, {}, "d")
        config = ReportConfig(meanings())
        self.digests = report(self.inputs[0], finetunes, source, pretrained, evaluated, outputs, config)
        self.photos = outputs.photos.read_text()
        return outputs.page.read_text(), json.loads(outputs.results.read_text()), outputs.model.read_bytes()


def rising(start: float, end: float, epochs: int, speed: float = 0.35) -> list[float]:
    steps = np.arange(epochs)
    wiggle = 0.006 * np.sin(steps * 2.1)
    return [float(value) for value in end - (end - start) * np.exp(-speed * steps) + wiggle]


def whole_study(directory: Path, classes: list[str] = CLASSES, photos_a_class: int = 25) -> Study:
    """The lab's shape: 14 epochs of transfer learning, five switch epochs of 10, the last one diverged after 3."""
    study = Study(directory, classes, photos_a_class)
    alone = rising(0.43, 0.68, 14)
    study.add(0, alone, 0.67)
    for switch_epoch, end, test in ((1, 0.66, 0.65), (2, 0.69, 0.68), (4, 0.73, 0.74), (8, 0.715, 0.71)):
        study.add(switch_epoch, rising(alone[switch_epoch - 1] + 0.02, end, 10), test)
    stop = {"epoch": 4, "step": 17, "learning_rate": 1e-3}
    return study.add(14, [0.66, 0.55, 0.31], 0.66, diverged=stop)


def cells(page: str) -> list[list[str]]:
    """The comparison's rows as text."""
    body = page.split('<table class="comparison cards">')[1].split("<tbody>")[1].split("</tbody>")[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in body.split("<tr")[1:]]
    return [[unescape(re.sub("<[^>]+>", "", cell)) for cell in row] for row in rows]


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
    for page in (study.report()[0], study.photos):
        assert "<script" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


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
    summary = (tmp_path / "out" / "summary").read_text()
    assert summary.startswith(f"**{said}:** ") and "includes 0: not told apart" in summary
    for text in (page, summary, results["conclusion"]):
        assert "Start fine-tuning after" not in text
    assert "Earlier switch epochs" not in results["conclusion"]


def test_the_chosen_start_is_compared_with_the_runner_up_and_with_transfer_learning(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5, 0.6], 0.6).add(2, [0.7], 0.7).add(4, [0.705], 0.72).add(8, [0.65], 0.7)
    _, results, _ = study.report()
    against = results["verdict"]["against"]
    assert [(each["switch_epoch"], each["told_apart"]) for each in against] == [(2, False), (None, True)]
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
    for text in (page, results["conclusion"], (tmp_path / "out" / "summary").read_text()):
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


@pytest.mark.parametrize("kind", ["history", "model", "evaluation"])
def test_files_of_two_trainings_are_refused(tmp_path: Path, kind: str) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6).add(2, [0.65], 0.65)
    first, second = study.inputs[1], study.inputs[2]
    study.inputs[1] = first._replace(**{kind: getattr(second, kind)})
    study.inputs[2] = second._replace(**{kind: getattr(first, kind)})
    one, two = (f"fine-tuning from epoch {epoch} \\(model digest-of-{epoch}\\)" for epoch in (1, 2))
    message = f"the history is of {one}, the evaluation is of {one}, the model file is of {two}. Run the"
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


def test_photos_of_another_evaluation_are_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6)
    study.inputs[1].photos.write_text(json.dumps({"mistakes": [], "hits": []}))
    with pytest.raises(RecordsError, match="photos-1 is not the file that belongs to the evaluation"):
        study.report()


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
LOW_CONTRAST = """() => {
  const parse = text => { const n = text.match(/[0-9.]+/g).map(Number), s = text.startsWith("color(") ? 255 : 1;
    return [n[0] * s, n[1] * s, n[2] * s, n.length > 3 ? n[3] : 1]; };
  const over = (top, share, under) => under.map((value, i) => top[i] * share + value * (1 - share));
  const linear = value => value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const light = rgb => { const [r, g, b] = rgb.map(value => linear(value / 255));
    return .2126 * r + .7152 * g + .0722 * b; };
  const low = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (texts.nextNode()) {
    const node = texts.currentNode, element = node.parentElement, range = document.createRange();
    if (!node.data.trim() || element.closest("style, title, defs")) continue;
    range.selectNodeContents(node);
    element.scrollIntoView({block: "nearest", inline: "center"});
    const box = range.getClientRects()[0];
    if (!box || !box.width) continue;
    let back = [255, 255, 255];
    for (const under of document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2).reverse()) {
      const style = getComputedStyle(under), shape = under instanceof SVGGeometryElement;
      const paint = shape ? style.fill : style.backgroundColor;
      if (!paint || paint === "none") continue;
      const [r, g, b, alpha] = parse(paint);
      back = over([r, g, b], alpha * (shape ? style.fillOpacity * style.opacity : 1), back);
    }
    const style = getComputedStyle(element);
    const [r, g, b, alpha] = parse(element instanceof SVGElement ? style.fill : style.color);
    const [dark, bright] = [light(over([r, g, b], alpha, back)), light(back)].sort((x, y) => x - y);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    seen += 1;
    if ((bright + .05) / (dark + .05) < (large ? 3 : 4.5)) low.push([node.data.trim(), (bright + .05) / (dark + .05)]);
  }
  return [seen, low];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        unavailable(f"{CHROMIUM} is missing")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


def test_the_parameters_are_explained_in_the_pipelines_own_words(tmp_path: Path) -> None:
    page, _, _ = whole_study(tmp_path).report()
    rows = re.findall(r'<tr><th scope="row">(\w+)</th>', page.split("<h2>All parameters</h2>")[1])
    assert {"dataset", "weights", "switch_epochs", "batch_size"} <= set(rows) <= set(parameters())
    for name in rows:
        assert meanings()[name] in unescape(page)


@pytest.mark.browser
@pytest.mark.parametrize(
    "classes", [["<script>alert(1)</script>", *CLASSES[1:]], [f"<b>Dish</b> number {number}" for number in range(101)]]
)
def test_the_pages_in_a_browser(tmp_path: Path, browser: Any, classes: list[str]) -> None:
    whole_study(tmp_path, classes).report()
    complaints: list[str] = []
    requests: list[str] = []
    files = {name: tmp_path / f"{name}.html" for name in ("page", "photos")}
    for name, file in files.items():
        file.write_bytes((tmp_path / "out" / name).read_bytes())
        for width in (400, 900, 1600):
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page.on("console", lambda message: complaints.append(message.text))
                page.on("pageerror", lambda error: complaints.append(str(error)))
                page.on("dialog", lambda dialog: complaints.append(dialog.message))
                page.on("request", lambda request: requests.append(request.url.partition(",")[0]))
                page.goto(file.as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert classes[0] in page.inner_text("body")
                page.set_viewport_size({"width": width, "height": page.evaluate("document.body.scrollHeight")})
                texts, low = page.evaluate(LOW_CONTRAST)
                assert texts > 10 and not low
                page.close()
    assert not complaints
    assert set(requests) <= {*(file.as_uri() for file in files.values()), "data:image/jpeg;base64"}


@pytest.mark.browser
def test_the_numbers_that_the_browser_shows_are_those_of_the_json(tmp_path: Path, browser: Any) -> None:
    whole_study(tmp_path).report()
    (tmp_path / "page.html").write_bytes((tmp_path / "out" / "page").read_bytes())
    results = json.loads((tmp_path / "out" / "results").read_text())["results"]
    evaluations = [json.loads((tmp_path / f"evaluation-{row['switch_epoch'] or 0}").read_text()) for row in results]
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.goto((tmp_path / "page.html").as_uri())
    shown = [
        row.all_inner_texts() for row in (each.locator("td") for each in page.locator(".comparison tbody tr").all())
    ]
    assert [row[:5] for row in shown] == [
        [
            str(row["best_epoch"]),
            f"{row['validation_accuracy'] * 100:.1f} %",
            f"{row['test_accuracy'] * 100:.1f} %",
            f"{row['test_top_5'] * 100:.1f} %",
            f"{row['test_loss']:.3f}",
        ]
        for row in results
    ]
    best = max(range(len(results)), key=lambda number: results[number]["validation_accuracy"])
    text = page.inner_text("body").replace("\u00a0", " ").replace("\u2011", "-")
    assert f"(ECE) is {evaluations[best]['calibration']['ece'] * 100:.1f} points" in text
    cells = page.locator(".confusion text").all_text_contents()
    counts = [count for row in evaluations[best]["confusion"] for count in row if count]
    assert [int(cell) for cell in cells if cell.isdigit()] == counts
    page.close()
