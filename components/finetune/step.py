"""Fine-tuning: the backbone too, from the checkpoint of one epoch of transfer learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from switchpoint.config import Config
from switchpoint.data.manifest import verify_records
from switchpoint.files import write_json
from switchpoint.provenance.digests import json_digest
from switchpoint.training import checkpoints, loop, network, saved_model
from switchpoint.training.backbones.blocks import unfreeze
from switchpoint.training.batches import feed
from switchpoint.training.replicas import strategy
from switchpoint.training.resume import Resume
from switchpoint.training.rungs import until
from switchpoint.training.streams import stream
from switchpoint.training.surroundings import surroundings

if TYPE_CHECKING:
    from pathlib import Path

    import keras


@dataclass(frozen=True)
class FinetuneConfig(Config):
    """What fine-tuning is given; pipeline.py says what each is, and in which unit."""

    switch_epoch: int
    epochs: int
    rung: int
    blocks: int
    batch_size: int
    learning_rate: float
    schedule: str
    warmup: float
    patience: int
    augmentation: str
    rotation: float
    dropout: float
    label_smoothing: float
    class_weights: str
    mixed_precision: str
    seed: int


class Outputs(NamedTuple):
    """What to write.

    Attributes:
        model: `.keras` file: the model of the last epoch not shown worse than the best by validation.
        history: JSON: a `documents.History`.
        logs: Directory for TensorBoard's logs.
    """

    model: Path
    history: Path
    logs: Path


def finetune(
    records: Path, checkpoint_directory: Path, outputs: Outputs, config: FinetuneConfig, resume: Resume | None = None
) -> dict[str, str]:
    """Unfreeze the backbone and continue from the checkpoint of `config.switch_epoch`, or from the rung before.

    A rung is the beginning of the whole training, by the whole schedule. Where the state that the rung before left is
    still there it goes on from it, and else from the start, to the same model.

    Args:
        records: Directory that prepare wrote.
        checkpoint_directory: Directory that transfer wrote.
        outputs: What to write.
        config: Where to start and how to optimise.
        resume: Where the state is kept while it trains.

    Returns:
        Digests of the model and the history.

    Raises:
        CheckpointNotFoundError: No checkpoint was saved for `config.switch_epoch`.
        DamagedCheckpointError: It is not what was saved.
        RecordsError: The records are not whole.

    Source:
        https://keras.io/guides/transfer_learning/ (BatchNormalization stays in inference mode)
    """
    manifest = verify_records(records)
    seed = stream(config.seed, "finetune")
    loop.deterministic(seed)
    with strategy().scope():
        backbone, head = checkpoints.load(checkpoint_directory, config.switch_epoch)
        head.get_layer("dropout").rate = config.dropout
        pattern = checkpoints.read(checkpoint_directory)["block_pattern"]
        unfreeze(backbone, pattern, last_blocks=config.blocks)
        model = network.join(backbone, head)
        rates = schedule(config, manifest["splits"]["train"]["photos"])
        loop.compile_model(model, rates, config.label_smoothing, config.mixed_precision)
    resume = resume or Resume()
    inputs = {
        "records": manifest["digest"],
        "checkpoints": checkpoints.digest(checkpoint_directory),
        "precision": backbone.layers[-1].compute_dtype,
    }
    last = until(config.epochs, config.rung)
    resume.open("finetune", config, inputs, surroundings(), last if config.rung else None)
    seen = feed(records, config.batch_size, config.augmentation, config.rotation, seed, config.epochs)
    counted = loop.class_weights(config.class_weights, manifest["splits"]["train"]["per_class"])
    name = f"finetune {config.switch_epoch}"
    phase = loop.Phase(name, last, config.batch_size, seed, patience=config.patience, weights=counted)
    trained = loop.fit(model, seen, phase, outputs.logs, resume)
    digest = saved_model.save(saved_model.complete(model, manifest), outputs.model)
    start = checkpoints.read(checkpoint_directory)["history"][config.switch_epoch - 1]
    history = loop.history(trained, config.switch_epoch, config.learning_rate, config.seed, digest, start)
    write_json(outputs.history, history)
    return {"model": digest, "history": json_digest(history, "seconds")}


def schedule(config: FinetuneConfig, photos: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate at each step: it rises evenly from 0 for `warmup` of all steps, then stays, or falls to 0.

    Source:
        Goyal et al. 2017, Accurate, Large Minibatch SGD (gradual warmup).
    """
    import keras

    if config.schedule == "constant" and not config.warmup:
        return config.learning_rate
    steps = loop.steps_per_epoch(photos, config.batch_size) * config.epochs
    rising = min(round(steps * config.warmup), steps - 1)  # of one or two steps the warm-up would be all
    return keras.optimizers.schedules.CosineDecay(
        0.0 if rising else config.learning_rate,
        steps - rising,
        alpha=1.0 if config.schedule == "constant" else 0.0,
        warmup_target=config.learning_rate if rising else None,
        warmup_steps=rising,
    )
