"""The trainings of the cross-validation: the project's own steps, and layer-wise decay, which they do not have."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

from bench.better.cells import FILE, Cell, Results
from bench.better.folds import folds
from switchpoint.command import parameters

if TYPE_CHECKING:
    from pathlib import Path

    from bench.better.candidates import Candidate, Settings
    from switchpoint.documents.lineage import Parameters
    from switchpoint.documents.training import History


PROCESSES = 2  # with a thread each: small photos gain little from a second one


def train(tried: Candidate, directory: Path, settings: Settings) -> None:
    """Run what is not yet done of a candidate, fold by fold and seed by seed, two at a time.

    Processes live for a candidate: TensorFlow keeps about 150 MB of each training.
    """
    results = Results(directory / FILE, settings)
    tasks = [(fold, seed) for seed in settings.seeds for fold in folds()]
    tasks = [task for task in tasks if _missing(tried, *task, results, settings)]
    if not tasks:
        return
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"), prepare_process) as processes:
        for future in [processes.submit(run, tried, *task, directory, settings) for task in tasks]:
            future.result()


def prepare_process() -> None:
    """One thread for TensorFlow; and Ctrl-C, or the end of the process that waits for it, ends it at once."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def run(tried: Candidate, fold: int, seed: int, directory: Path, settings: Settings) -> None:
    """Run what is not yet done of a candidate in a fold with a seed: transfer learning and each switch epoch."""
    results = Results(directory / FILE, settings)
    records, values = records_of(directory, fold, settings), settings.parameters(tried, seed)
    # Candidates that share it start from the same transfer learning.
    start = f"{fold}-{seed}-{tried.augmentation}-{tried.class_weights}-{settings.transfer_epochs}-{settings.image_size}"
    trained = directory / start
    trained.mkdir(exist_ok=True)
    missing = _missing(tried, fold, seed, results, settings)
    if not (trained / "checkpoints" / "checkpoints.json").exists():
        missing = [0, *(epoch for epoch in missing if epoch)]
    for switch_epoch in missing:
        done = _measure(records, trained, switch_epoch, tried, values)
        cell = _cell(tried, fold, seed, switch_epoch)
        if not results.find(cell):
            results.add(cell, *done)


def _missing(tried: Candidate, fold: int, seed: int, results: Results, settings: Settings) -> list[int]:
    """The switch epochs that have no result; 0 is transfer learning alone."""
    epochs = (0, *settings.switch_epochs)
    return [epoch for epoch in epochs if not results.find(_cell(tried, fold, seed, epoch))]


def _cell(tried: Candidate, fold: int, seed: int, switch_epoch: int) -> Cell:
    name = str(tried) if switch_epoch else tried.alone
    return {"fold": fold, "seed": seed, "switch_epoch": switch_epoch, "candidate": name}


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
    """Fine-tuning, as the step does it, with what the step does not have: `layer_decay`."""
    from bench.better.layers import LayerDecay, factors
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
    if tried.layer_decay != 1:
        model.optimizer = LayerDecay(rates, factors(model, backbone, saved["block_pattern"], tried.layer_decay))
    seen = feed(records, config.batch_size, config.augmentation, config.rotation, seed, config.epochs)
    counted = loop.class_weights(config.class_weights, manifest["splits"]["train"]["per_class"])
    phase = loop.Phase(str(tried), config.epochs, config.batch_size, seed, patience=config.patience, weights=counted)
    came_to = loop.fit(model, seen, phase, model_file.with_suffix(".logs"), Resume())
    digest = saved_model.save(saved_model.complete(model, manifest), model_file)
    return loop.history(
        came_to, switch_epoch, config.learning_rate, config.seed, digest, start=saved["history"][switch_epoch - 1]
    )
