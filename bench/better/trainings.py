"""The trainings of the cross-validation: the project's own steps, and crops that they do not have."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from typing import TYPE_CHECKING, Any

from bench.better.cells import FILE, Cell, Results
from bench.better.folds import folds
from switchpoint.command import parameters

if TYPE_CHECKING:
    from pathlib import Path

    from bench.better.candidates import Candidate, Settings
    from switchpoint.documents.lineage import Parameters
    from switchpoint.documents.training import History


def run(tried: Candidate, directory: Path, settings: Settings) -> None:
    """Run what is not yet done of a candidate: every fold, seed and switch epoch."""
    results = Results(directory / FILE, settings)
    for seed in settings.seeds:
        values = settings.parameters(tried, seed)
        for fold in folds():
            records = records_of(directory, fold, settings)
            # Candidates that smooth labels alike start from the same transfer learning.
            start = f"{fold}-{seed}-{tried.label_smoothing:g}-{settings.transfer_epochs}-{settings.image_size}"
            trained = directory / start
            trained.mkdir(exist_ok=True)
            for switch_epoch in (0, *settings.switch_epochs):
                name = str(tried) if switch_epoch else tried.alone
                cell: Cell = {"fold": fold, "seed": seed, "switch_epoch": switch_epoch, "candidate": name}
                known = results.find(cell)
                if known and (switch_epoch or (trained / "checkpoints" / "checkpoints.json").exists()):
                    continue
                done = _measure(records, trained, switch_epoch, tried, values)
                if not known:
                    results.add(cell, *done)


def records_of(directory: Path, fold: int, settings: Settings) -> Path:
    """Where a fold's records lie."""
    return directory / f"records-{fold}-{settings.image_size}"


def _measure(
    records: Path, trained: Path, switch_epoch: int, tried: Candidate, values: Parameters
) -> tuple[Any, History, float]:
    """Train, and try the model on the fold's held-out photos: the evaluation, the history, the seconds of both."""
    import keras

    from components.evaluate.step import EvaluateConfig, Outputs, evaluate

    keras.utils.clear_session()
    started = time.monotonic()
    model = trained / ("tried.keras" if switch_epoch else "model.keras")
    if switch_epoch:
        history = finetune(records, trained, model, switch_epoch, tried, values)
    else:
        history = transfer(records, trained, model, values)
    outputs = Outputs(trained / "evaluation.json")
    evaluation = evaluate(records, model, outputs, EvaluateConfig(switch_epoch, 0.0, values["seed"], 64, "off"))
    return evaluation, history, time.monotonic() - started


def transfer(records: Path, trained: Path, model: Path, values: Parameters) -> History:
    """Transfer learning, as the step does it; its history."""
    from components.transfer.step import Outputs, TransferConfig, transfer

    outputs = Outputs(
        checkpoints=trained / "checkpoints",
        model=model,
        history=trained / "history.json",
        logs=trained / "logs",
        pretrained=trained / "pretrained.json",
        reference=trained / "reference.npz",
    )
    transfer(records, outputs, parameters.config(TransferConfig, "transfer", values))
    history: History = json.loads(outputs.history.read_text())
    return history


def finetune(
    records: Path, trained: Path, model_file: Path, switch_epoch: int, tried: Candidate, values: Parameters
) -> History:
    """Fine-tuning, as the step does it, with what the step does not have: enlarged crops."""
    from components.finetune.step import FinetuneConfig, schedule
    from switchpoint.data.manifest import read_manifest
    from switchpoint.training import checkpoints, loop, network, saved_model
    from switchpoint.training.backbones.blocks import unfreeze
    from switchpoint.training.batches import feed
    from switchpoint.training.resume import Resume
    from switchpoint.training.streams import stream

    manifest = read_manifest(records)
    config = parameters.config(FinetuneConfig, "finetune", parameters.candidate(values, switch_epoch))
    seed = stream(config.seed, "finetune")
    loop.deterministic(seed)
    backbone, head = checkpoints.load(trained / "checkpoints", switch_epoch)
    head.get_layer("dropout").rate = config.dropout
    saved = checkpoints.read(trained / "checkpoints")
    unfreeze(backbone, saved["block_pattern"], last_blocks=config.blocks)
    model = network.join(backbone, head)
    rates = schedule(config, manifest["splits"]["train"]["photos"])
    loop.compile_model(model, rates, config.label_smoothing, config.mixed_precision)
    seen = feed(records, config.batch_size, config.augmentation, config.rotation, seed, config.epochs)
    if tried.crop_area < 1:
        as_they_are = seen.training
        seen = dataclasses.replace(seen, training=lambda epoch: enlarged(as_they_are(epoch), tried.crop_area, seed))
    phase = loop.Phase(str(tried), config.epochs, config.batch_size, seed)
    came_to = loop.fit(model, seen, phase, model_file.with_suffix(".logs"), Resume())
    digest = saved_model.save(saved_model.complete(model, manifest), model_file)
    return loop.history(
        came_to, switch_epoch, config.learning_rate, config.seed, digest, start=saved["history"][switch_epoch - 1]
    )


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
