"""Trainings and evaluations written by hand, as a report reads them."""

import json
import re
import zipfile
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np

from components.collect.step import CollectConfig, Trained, collect
from components.evaluate.corruptions import CORRUPTIONS, STRENGTHS
from components.evaluate.measures import calibration, confused_pairs, most_confused, per_class
from components.halve.step import HalveConfig, halve
from components.report.step import Outputs, ReportConfig, compare, read, report
from switchpoint.command.parameters import meanings
from switchpoint.documents.evaluation import Robustness
from switchpoint.provenance.digests import file_digest, json_digest
from switchpoint.provenance.metadata import MEMBER, describe, entry, measured
from switchpoint.training.collected import Files

RATE = 0.0003  # that fine-tuning has where nothing else is said
PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def digest_of(switch_epoch: int, seed: int, rate: float = RATE) -> str:
    return f"digest-of-{switch_epoch}" + f"-at-{rate:g}" * (rate != RATE) + f"-seed-{seed}" * (seed > 1)


def write_model(path: Path, switch_epoch: int, seed: int, rate: float) -> None:
    """A file with the lineage of a model, and nothing that Keras could load."""

    def entry(step: str, **parameters: Any) -> dict[str, Any]:
        made = {"step": step, "digest": digest_of(switch_epoch, seed, rate), "code_digest": "c" * 64}
        return made | {"parameters": parameters | {"seed": seed}}

    document: dict[str, Any] = {
        "format": 1,
        "model": entry("finetune", switch_epoch=switch_epoch, learning_rate=rate)
        if switch_epoch
        else entry("transfer", epochs=14, learning_rate=0.001),
        "records": entry("prepare", image_size=64) | {"photos": {"train": 9, "validation": 1, "test": 3}},
    }
    if switch_epoch:
        document["checkpoints"] = entry("transfer") | {"epoch": switch_epoch, "epoch_digest": "e" * 64}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER), json.dumps(document))


def write_history(
    path: Path, switch_epoch: int, seed: int, accuracies: list[float], rate: float = RATE, **changes: Any
) -> None:
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
        "learning_rate": rate if switch_epoch else 0.0,
        "seed": seed,
        "epochs": epochs,
        "seconds": [12.3 if switch_epoch else 3.1] * len(epochs),
        "best_epoch": best["epoch"] if best else 0,
        "validation_accuracy": best["val_categorical_accuracy"] if best else 0.5,
        "validation_loss": best["val_loss"] if best else None,
        "diverged": None,
        "model_digest": digest_of(switch_epoch, seed, rate),
    }
    path.write_text(json.dumps(history | changes))


def write_evaluation(
    path: Path, switch_epoch: int, seed: int, classes: list[str], accuracy: float, photos_a_class: int,
    rate: float = RATE, **more: Any,
) -> None:  # fmt: skip
    """Predictions that are right at about `accuracy`; mistakes prefer a class's two neighbours."""
    random = np.random.default_rng(switch_epoch + 100 * (seed - 1))
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
        "learning_rate": rate if switch_epoch else 0.0,
        "seed": seed,
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
        "robustness": None,
        "model_digest": digest_of(switch_epoch, seed, rate),
    } | more
    path.write_text(json.dumps(evaluation | {"digest": json_digest(evaluation, "digest", "lineage")}))


def robust(clean: float, corrupted: float, photos: int = 200, seed: int = 0) -> Robustness:
    """Accuracy on photos as they are and, of random ones, under corruptions, which are equally hard for all models."""
    hard = np.random.default_rng(seed).permuted(np.tile((np.arange(photos) + 0.5) / photos, (15, 1)), axis=1)
    right = hard < corrupted
    kinds = [(name, strength) for name in CORRUPTIONS for strength in STRENGTHS]
    return {
        "photos": photos,
        "numbers": list(range(photos)),
        "top_1": clean,
        "ece": 0.05,
        "corrupted": [
            {"corruption": name, "strength": strength, "top_1": float(row.mean()), "ece": 0.1}
            for (name, strength), row in zip(kinds, right, strict=True)
        ],
        "right": right.sum(axis=0).tolist(),
    }


def answers(right: int, photos: int, classes: int, first: int = 0) -> dict[str, list[int]]:
    """Labels and predictions of photos of which those from `first` on, `right` of them, are named right."""
    labels = [number % classes for number in range(photos)]
    hit = {(first + number) % photos for number in range(right)}
    predicted = [label if number in hit else (label + 1) % classes for number, label in enumerate(labels)]
    return {"labels": labels, "predicted": predicted}


CLASSES = ["Apple pie", "Baby back ribs", "Beet salad", "Bibimbap", "Edamame", "French toast"]
CLASSES += ["Ice cream", "Macaroni and cheese", "Pizza", "Ramen", "Steak", "Sushi"]


class Study:
    """Files of a whole study in a directory, what is collected of each seed, and the report of them."""

    def __init__(self, directory: Path, classes: list[str] = CLASSES, photos_a_class: int = 25) -> None:
        self.directory, self.classes, self.photos_a_class = directory, classes, photos_a_class
        self.inputs: dict[tuple[int, int, float], Trained] = {}  # by seed, switch epoch and learning rate
        self.held_out = 400  # validation photos
        self.corrupted = False  # whether evaluate tried that
        self.left_out, self.duplicates = 0, dict[str, int]()
        self.leaked: list[int] = []
        self.records = "r" * 64  # their digest
        self.search: tuple[Path, str] | None = None  # what halve wrote, and its digest

    def add(
        self, switch_epoch: int, accuracies: list[float], test: float, seed: int = 1, rate: float = RATE, **changes: Any
    ) -> "Study":
        files = self.files(switch_epoch, seed, rate)
        write_history(files.history, switch_epoch, seed, accuracies, rate, **changes)
        write_model(files.model, switch_epoch, seed, rate)
        said = {"true": self.classes[0], "predicted": self.classes[1], "runner_up": self.classes[0]}
        shares = {"true_probability": 0.1, "predicted_probability": 0.8, "runner_up_probability": 0.1}
        photo = {"name": f"{self.classes[0]}/1", "jpeg": PIXEL} | said | shares
        telling = {"mistakes": [photo], "hits": [photo | {"true": self.classes[1]}]}
        right = round(json.loads(files.history.read_text())["validation_accuracy"] * self.held_out)
        validation = answers(right, self.held_out, len(self.classes), first=switch_epoch)
        lineage = entry(describe("Evaluation", "evaluate", {"batch_size": 8}, {"records": self.records}, "d"))
        more = {"validation": validation, "model_file": file_digest(files.model), "telling": telling}
        more["lineage"] = lineage
        if self.corrupted:
            more["robustness"] = robust(test, 0.4 + test / 4, seed=switch_epoch)
        write_evaluation(files.evaluation, switch_epoch, seed, self.classes, test, self.photos_a_class, rate, **more)
        self.inputs[seed, switch_epoch, rate] = Trained(files, ("", digest_of(switch_epoch, seed, rate)), {})
        return self.wrote(switch_epoch, seed, rate)

    def searched(self, *rungs: dict[tuple[int, float], list[float]], epochs: int = 10) -> "Study":
        """A search of seed 1: of each rung's candidates the validation accuracies until its end."""
        for number, rung in enumerate(rungs, 1):
            found = {}
            for (switch_epoch, rate), accuracies in rung.items():
                path = self.directory / f"rung-{number}-{switch_epoch}-{rate}"
                write_history(path, switch_epoch, 1, accuracies, rate)
                found[path] = json_digest(json.loads(path.read_text()), "seconds")
            written, config = self.directory / f"search-{number}", HalveConfig(rung=number, epochs=epochs, seed=1)
            self.search = written, halve(found, self.search, written, config).digest
        return self

    def files(self, switch_epoch: int, seed: int = 1, rate: float = RATE) -> Files:
        """Of a training, where its steps wrote them."""
        place = self.directory / f"seed-{seed}"
        place.mkdir(exist_ok=True)
        ending = f"{switch_epoch}" + f"-at-{rate:g}" * (rate != RATE)
        return Files(*(place / f"{kind}-{ending}" for kind in Files._fields))

    def wrote(self, switch_epoch: int, seed: int = 1, rate: float = RATE) -> "Study":
        """History and evaluation are what their steps wrote."""
        trained = self.inputs[seed, switch_epoch, rate]
        history, evaluation = (json.loads(path.read_text()) for path in trained.files[:2])
        digests = json_digest(history, "seconds"), trained.digests[1]
        self.inputs[seed, switch_epoch, rate] = trained._replace(digests=digests, metrics=measured(evaluation))
        return self

    def collect(self, name: str = "out", backwards: bool = False) -> dict[Path, str]:
        """What collect makes of each seed, with its digest."""
        pretrained = self.directory / "pretrained"
        pretrained.write_text(json.dumps({"backbone": "lite0", "weights": "imagenet", "digest": "w" * 64}))
        found = {}
        for seed in sorted({seed for seed, *_ in self.inputs}, reverse=backwards):
            keys = sorted((key for key in self.inputs if key[0] == seed), reverse=backwards)
            place = self.directory / name / f"trainings-{seed}"
            found[place] = collect([self.inputs[key] for key in keys], pretrained, place, CollectConfig(seed))
        return found

    def report(self, name: str = "out", backwards: bool = False) -> tuple[str, dict[str, Any], bytes]:
        return self.written(self.collect(name, backwards), name)

    def results(self) -> dict[str, Any]:
        """What the report would say, without drawing its page."""
        document: Any = compare(read(self.collect("compared"))).document
        return document

    def written(self, trainings: dict[Path, str], name: str = "out") -> tuple[str, dict[str, Any], bytes]:
        """The report of what was collected."""
        outputs = Outputs(*(self.directory / name / kind for kind in Outputs._fields))
        source = self.directory / "source"
        counts = {"classes": 12, "photos": 1300, "left_out": self.left_out, "duplicates": self.duplicates}
        counts |= {"dropped": 0, "leaked": self.leaked, "copied": []}
        source.write_text(json.dumps({"dataset": "photos/food", "digest": "d" * 64, "records": self.records, **counts}))
        self.digests = report(trainings, source, outputs, ReportConfig(meanings()), self.search)
        return outputs.page.read_text(), json.loads(outputs.results.read_text()), outputs.model.read_bytes()


def rising(start: float, end: float, epochs: int, speed: float = 0.35) -> list[float]:
    steps = np.arange(epochs)
    wiggle = 0.006 * np.sin(steps * 2.1)
    return [float(value) for value in end - (end - start) * np.exp(-speed * steps) + wiggle]


def whole_study(
    directory: Path, classes: list[str] = CLASSES, photos_a_class: int = 25, seeds: tuple[int, ...] = (1,)
) -> Study:
    """The lab's shape: 14 epochs of transfer learning, five switch epochs of 10, the last one diverged after 3."""
    study = Study(directory, classes, photos_a_class)
    study.corrupted = True
    for seed in seeds:
        luck = 0.012 * np.random.default_rng(seed).normal(size=6) * (seed > 1)
        alone = rising(0.43, 0.68 + luck[0], 14)
        study.add(0, alone, 0.67 + luck[0], seed)
        tuned = ((1, 0.66, 0.65), (2, 0.69, 0.68), (4, 0.73, 0.74), (8, 0.68, 0.71))
        for (switch_epoch, end, test), moved in zip(tuned, luck[1:], strict=False):
            study.add(switch_epoch, rising(alone[switch_epoch - 1] + 0.02, end + moved, 10), test + moved, seed)
        stop = {"epoch": 4, "step": 17, "learning_rate": 1e-3}
        study.add(14, [0.66, 0.55, 0.31], 0.66 + luck[5], seed, diverged=stop)
    return study


def cells(page: str) -> list[list[str]]:
    """The comparison's rows as text."""
    body = page.split('<table class="comparison cards">')[1].split("<tbody>")[1].split("</tbody>")[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in body.split("<tr")[1:]]
    return [[unescape(re.sub("<[^>]+>", "", cell)) for cell in row] for row in rows]
