"""Choose what `better` fine-tunes with, by cross-validation on Food-101's training photos. No test photo is read.

    python -m bench.better ../shared/data/food101-mini

Each fold is a dataset of its own in Food-101's layout: two thirds of the training photos to train on, the other third
in the place of the test split. So the project's own steps run as they are, choosing epochs on validation photos that
prepare cuts from the two thirds. First the learning rates compete, then each further idea on the best of them. Every
result is appended to a file, so a killed run goes on where it was.
"""

import argparse
import dataclasses
import json
import math
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from switchpoint.data.split import draw

FOLDS = 3
CELLS = "cells.jsonl"


@dataclass(frozen=True)
class Candidate:
    """What is tried; the defaults are where the search starts.

    Attributes:
        learning_rate: Of fine-tuning, at its highest; a cosine brings it to 0.
        warmup: Share of fine-tuning's steps over which it first rises from 0.
        label_smoothing: In transfer learning too, as the pipeline has one parameter for both.
        crop_area: Smallest share of the photo's crop that is blown up to the whole (RandomResizedCrop); 1 = never.
        blocks: How many of the backbone's last blocks are trained; 0 = all.
    """

    learning_rate: float = 1e-4
    warmup: float = 0.0
    label_smoothing: float = 0.0
    crop_area: float = 1.0
    blocks: int = 0

    def __str__(self) -> str:
        changed = [
            f"{field.name.replace('_', ' ')} {getattr(self, field.name):g}"
            for field in dataclasses.fields(self)
            if field.name == "learning_rate" or getattr(self, field.name) != field.default
        ]
        return ", ".join(changed)


LEARNING_RATES = [Candidate(learning_rate=rate) for rate in (1e-4, 3e-4, 1e-3, 1e-5)]
IDEAS: list[dict[str, Any]] = [{"label_smoothing": 0.1}, {"warmup": 0.2}, {"crop_area": 0.5}, {"blocks": 8}]


@dataclass(frozen=True)
class Settings:
    """What all candidates share."""

    switch_epochs: tuple[int, ...]
    transfer_epochs: int
    finetune_epochs: int
    image_size: int
    batch_size: int
    seeds: tuple[int, ...]
    rotation: float = 0.04
    dropout: float = 0.2
    transfer_learning_rate: float = 0.001


def write_folds(dataset: Path, directory: Path) -> list[Path]:
    """Make a dataset of each fold: the images linked, only training photos listed.

    Args:
        dataset: Food-101's folder.
        directory: Where `fold-1`, `fold-2` … are made.

    Returns:
        The folders. Each training photo is in the test list of exactly one; every class is spread evenly.
    """
    listed = (dataset / "meta" / "train.txt").read_text().split()
    classes: dict[str, list[str]] = {}
    for name in listed:
        classes.setdefault(name.split("/")[0], []).append(name)
    held_out = {
        name: place % FOLDS
        for members in classes.values()
        for place, name in enumerate(sorted(members, key=lambda name: draw(0, name)))
    }
    folders = []
    for fold in range(FOLDS):
        folder = directory / f"fold-{fold + 1}"
        (folder / "meta").mkdir(parents=True, exist_ok=True)
        for name in listed:
            link = folder / "images" / f"{name}.jpg"
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to((dataset / "images" / f"{name}.jpg").resolve())
        for split, inside in (("train", False), ("test", True)):
            names = [name for name in listed if (held_out[name] == fold) == inside]
            (folder / "meta" / f"{split}.txt").write_text("\n".join(names) + "\n")
        (folder / "meta" / "classes.txt").write_text((dataset / "meta" / "classes.txt").read_text())
        folders.append(folder)
    return folders


def enlarged(batches: Any, smallest: float, seed: int) -> Any:
    """Cut a random part out of each photo, `smallest` to all of its area, sides 3:4 to 4:3, and blow it up.

    Source:
        RandomResizedCrop; Szegedy et al. 2015, Going Deeper with Convolutions.
    """
    import tensorflow as tf

    def one(step: Any, batch: Any) -> Any:
        images, labels = batch
        count, size = tf.shape(images)[0], images.shape[1]
        area, shape, top, left = tf.unstack(tf.random.stateless_uniform([4, count], [seed, step]))
        area, shape = smallest + (1 - smallest) * area, tf.exp((2 * shape - 1) * math.log(4 / 3))
        height, width = tf.minimum(tf.sqrt(area / shape), 1.0), tf.minimum(tf.sqrt(area * shape), 1.0)
        top, left = top * (1 - height), left * (1 - width)
        boxes = tf.stack([top, left, top + height, left + width], axis=1)
        return tf.image.crop_and_resize(images, boxes, tf.range(count), [size, size]), labels

    return batches.enumerate().map(one)


def transfer(records: Path, directory: Path, label_smoothing: float, seed: int, settings: Settings) -> dict[str, Any]:
    """Transfer learning, as the step does it; its history."""
    from components.transfer import step

    config = step.TransferConfig(
        backbone="efficientnet_lite0",
        weights="imagenet",
        epochs=settings.transfer_epochs,
        image_size=settings.image_size,
        batch_size=settings.batch_size,
        learning_rate=settings.transfer_learning_rate,
        first_decay_steps=0,
        t_mul=2.0,
        m_mul=0.75,
        rotation=settings.rotation,
        dropout=settings.dropout,
        label_smoothing=label_smoothing,
        mixed_precision="off",
        feature_views=0,
        seed=seed,
    )
    step.transfer(
        photos=records,
        checkpoint_directory=directory / "checkpoints",
        model_file=directory / "model.keras",
        history_file=directory / "history.json",
        logs=directory / "logs",
        pretrained_file=directory / "pretrained.json",
        config=config,
    )
    history: dict[str, Any] = json.loads((directory / "history.json").read_text())
    return history


def finetune(
    records: Path, transferred: Path, model_file: Path, switch_epoch: int, tried: Candidate, seed: int, shared: Settings
) -> dict[str, Any]:
    """Fine-tuning, as the step does it, with what the step does not have: enlarged crops."""
    from components.finetune.step import FinetuneConfig, schedule
    from switchpoint.data.manifest import read_manifest
    from switchpoint.training import checkpoints
    from switchpoint.training import loop as training
    from switchpoint.training import saved_model as models
    from switchpoint.training.backbones.blocks import unfreeze
    from switchpoint.training.batches import plain_batches, training_batches
    from switchpoint.training.resume import Resume

    manifest = read_manifest(records)
    config = FinetuneConfig(
        switch_epoch=switch_epoch,
        epochs=shared.finetune_epochs,
        blocks=tried.blocks,
        batch_size=shared.batch_size,
        learning_rate=tried.learning_rate,
        schedule="cosine",
        warmup=tried.warmup,
        rotation=shared.rotation,
        dropout=shared.dropout,
        label_smoothing=tried.label_smoothing,
        mixed_precision="off",
        seed=seed,
    )
    training.deterministic(seed)
    backbone, head = checkpoints.load(transferred / "checkpoints", switch_epoch)
    head.get_layer("dropout").rate = config.dropout
    pattern = checkpoints.read(transferred / "checkpoints")["block_pattern"]
    unfreeze(backbone, pattern, last_blocks=config.blocks)
    model = training.join(backbone, head)
    training.compile_model(model, schedule(config, manifest["splits"]["train"]["photos"]), config.label_smoothing)
    seed += switch_epoch

    def batches(epoch: int) -> Any:
        made = training_batches(records, config.batch_size, config.rotation, seed, config.epochs, epoch)
        return enlarged(made, tried.crop_area, seed) if tried.crop_area < 1 else made

    logs = model_file.with_suffix(".logs")
    trained = training.fit(
        model,
        records,
        batches,
        partial(plain_batches, records, "validation", cached=True),
        config.epochs,
        config.batch_size,
        seed,
        str(tried),
        logs,
        Resume(),
    )
    models.save(models.complete(model, manifest), model_file)
    start = checkpoints.read(transferred / "checkpoints")["history"][switch_epoch - 1]
    return training.history(trained, "finetune", switch_epoch, "", start)


class Results:
    """Cells done, in a file that only grows. A cell is a fold, a seed, a switch epoch (0: transfer alone) and a try."""

    def __init__(self, file: Path, settings: Settings) -> None:
        self.file = file
        self.settings = json.loads(json.dumps(dataclasses.asdict(settings)))
        self.rows: list[dict[str, Any]] = []
        if file.exists():
            rows = [json.loads(line) for line in file.read_text().splitlines()]
            # Cells name their seed, so another list of seeds uses what is there.
            seeds = self.settings["seeds"]
            self.rows = [
                row
                for row in rows
                if row["settings"] | {"seeds": seeds} == self.settings and row["cell"]["seed"] in seeds
            ]

    def find(self, **cell: Any) -> dict[str, Any] | None:
        return next((row for row in self.rows if row["cell"] == cell), None)

    def add(self, cell: dict[str, Any], evaluation: dict[str, Any], history: dict[str, Any], seconds: float) -> None:
        """Append, and keep what the tables need."""
        row = {
            "cell": cell,
            "settings": self.settings,
            "correct": [int(a == b) for a, b in zip(evaluation["labels"], evaluation["predicted"], strict=True)],
            "loss": evaluation["loss"],
            "history": history,
            "seconds": round(seconds, 1),
        }
        with self.file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)

    def photos(self, tried: str, switch_epoch: int) -> np.ndarray[Any, Any]:
        """Whether each held-out photo was named right, all folds one after the other, the mean over the seeds."""
        seeds = self.settings["seeds"]
        mean: np.ndarray[Any, Any] = np.mean(
            [
                np.concatenate([self._row(tried, switch_epoch, fold, seed)["correct"] for fold in _folds()])
                for seed in seeds
            ],
            axis=0,
        )
        return mean

    def loss(self, tried: str, switch_epoch: int) -> float:
        seeds = self.settings["seeds"]
        return float(
            np.mean([self._row(tried, switch_epoch, fold, seed)["loss"] for fold in _folds() for seed in seeds])
        )

    def diverged(self, tried: str) -> int:
        return sum(bool(row["history"]["diverged"]) for row in self.rows if row["cell"]["candidate"] == tried)

    def complete(self, tried: str) -> bool:
        wanted = FOLDS * len(self.settings["seeds"]) * len(self.settings["switch_epochs"])
        found = [row for row in self.rows if row["cell"]["candidate"] == tried and row["cell"]["switch_epoch"]]
        return len(found) == wanted

    def _row(self, tried: str, switch_epoch: int, fold: int, seed: int) -> dict[str, Any]:
        row = self.find(fold=fold, seed=seed, switch_epoch=switch_epoch, candidate=tried)
        if row is None:
            raise LookupError(f"No result of {tried} from epoch {switch_epoch}, fold {fold}, seed {seed}.")
        return row


def _folds() -> range:
    return range(1, FOLDS + 1)


def alone(tried: Candidate) -> str:
    """The name of the transfer learning that a candidate starts from."""
    return f"transfer alone, label smoothing {tried.label_smoothing:g}" if tried.label_smoothing else "transfer alone"


def run(tried: Candidate, directory: Path, settings: Settings) -> None:
    """Run what is not yet done of a candidate: every fold, seed and switch epoch."""
    import keras

    from components.evaluate.step import evaluate

    results = Results(directory / CELLS, settings)
    for seed in settings.seeds:
        for fold in _folds():
            records = directory / f"records-{fold}-{settings.image_size}"
            place = (
                directory / f"{fold}-{seed}-{tried.label_smoothing:g}-{settings.transfer_epochs}-{settings.image_size}"
            )
            place.mkdir(exist_ok=True)
            for switch_epoch in (0, *settings.switch_epochs):
                name = str(tried) if switch_epoch else alone(tried)
                cell = {"fold": fold, "seed": seed, "switch_epoch": switch_epoch, "candidate": name}
                if results.find(**cell) and (switch_epoch or (place / "checkpoints" / "checkpoints.json").exists()):
                    continue
                keras.utils.clear_session()
                started = time.monotonic()
                model_file = place / ("tried.keras" if switch_epoch else "model.keras")
                if switch_epoch:
                    history = finetune(records, place, model_file, switch_epoch, tried, seed, settings)
                else:
                    history = transfer(records, place, tried.label_smoothing, seed, settings)
                evaluation = evaluate(
                    records, model_file, place / "evaluation.json", place / "photos.json", switch_epoch, 64
                )
                if not results.find(**cell):
                    results.add(cell, evaluation, history, time.monotonic() - started)


def interval(differences: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    """Mean of paired differences and its 95 % interval over the photos (normal)."""
    mean, half = float(differences.mean()), 1.96 * float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return mean, mean - half, mean + half


def gain(results: Results, tried: str, base: str, epochs: tuple[int, ...]) -> tuple[float, float, float]:
    """How much more `tried` names right than `base`, over the switch epochs given, photo by photo."""
    return interval(np.mean([results.photos(tried, e) - results.photos(base, e) for e in epochs], axis=0))


def best_of(results: Results, candidates: list[Candidate], settings: Settings) -> Candidate:
    """The candidate with the best mean accuracy over all switch epochs; of those never diverged."""
    sound = [tried for tried in candidates if not results.diverged(str(tried))]
    return max(sound, key=lambda tried: np.mean([results.photos(str(tried), e).mean() for e in settings.switch_epochs]))


def table(results: Results, candidates: list[Candidate], base: Candidate, settings: Settings) -> list[dict[str, Any]]:
    """A row a candidate: accuracy and loss on the held-out photos, gains over `base` and over transfer alone."""
    rows = []
    for tried in candidates:
        name = str(tried)
        if not results.complete(name):
            continue
        row: dict[str, Any] = {"candidate": name, "diverged": results.diverged(name)}
        for epoch in settings.switch_epochs:
            photos = results.photos(name, epoch)
            row[f"from_{epoch}"] = {
                "accuracy": float(photos.mean()),
                "loss": results.loss(name, epoch),
                "gain_over_transfer": interval(photos - results.photos(alone(tried), 0)),
            }
        row["gain"] = gain(results, name, str(base), settings.switch_epochs) if tried != base else None
        rows.append(row)
    return rows


def markdown(rows: list[dict[str, Any]], base: Candidate, settings: Settings) -> str:
    """The table as the document has it; gains in points, with 95 % intervals."""

    def points(gained: tuple[float, float, float] | None) -> str:
        return "–" if gained is None else "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * value for value in gained))

    titles = ["candidate"]
    for epoch in settings.switch_epochs:
        titles += [f"from {epoch}", "loss", "over transfer alone"]
    lines = [[*titles, f"over {base}", "diverged"]]
    for row in rows:
        line = [row["candidate"]]
        for epoch in settings.switch_epochs:
            cell = row[f"from_{epoch}"]
            line += [f"{100 * cell['accuracy']:.1f} %", f"{cell['loss']:.3f}", points(cell["gain_over_transfer"])]
        lines.append([*line, points(row["gain"]), str(row["diverged"])])
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.better", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset", type=Path, help="Food-101's folder, or one like it: images/, meta/")
    parser.add_argument("--output", type=Path, default=Path("build/better"))
    parser.add_argument("--switch-epochs", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--transfer-epochs", type=int, default=8)
    parser.add_argument("--finetune-epochs", type=int, default=4)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    given = parser.parse_args()
    from components.prepare.step import PrepareConfig, prepare

    settings = Settings(
        switch_epochs=tuple(given.switch_epochs),
        transfer_epochs=given.transfer_epochs,
        finetune_epochs=given.finetune_epochs,
        image_size=given.image_size,
        batch_size=given.batch_size,
        seeds=tuple(given.seeds),
    )
    directory = given.output
    for fold, folder in enumerate(write_folds(given.dataset, directory), start=1):
        records = directory / f"records-{fold}-{settings.image_size}"
        if not records.exists():
            config = PrepareConfig(str(folder), image_size=settings.image_size, seed=0, validation_fraction=0.1)
            prepare(records, directory / "look.html", directory / "source.json", config)
    # A process a candidate: TensorFlow keeps about 150 MB of each training.
    processes = ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)
    for tried in LEARNING_RATES:
        processes.submit(run, tried, directory, settings).result()
    base = best_of(Results(directory / CELLS, settings), LEARNING_RATES, settings)
    ideas = [dataclasses.replace(base, **idea) for idea in IDEAS]
    for tried in ideas:
        processes.submit(run, tried, directory, settings).result()
        rows = table(Results(directory / CELLS, settings), LEARNING_RATES + ideas, base, settings)
        summary = {"settings": dataclasses.asdict(settings), "cores": os.cpu_count(), "base": str(base), "rows": rows}
        Path(f"{directory}.json").write_text(json.dumps(summary, indent=1))
    print(markdown(rows, base, settings))


if __name__ == "__main__":
    main()
