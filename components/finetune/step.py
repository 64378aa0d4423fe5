"""Fine-tuning: the backbone too, from the checkpoint of one epoch of transfer learning."""

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from switchpoint.data.manifest import verify_records
from switchpoint.training import checkpoints
from switchpoint.training import loop as training
from switchpoint.training import saved_model as models
from switchpoint.training.backbones.blocks import unfreeze
from switchpoint.training.batches import plain_batches, training_batches
from switchpoint.training.resume import Resume


@dataclass(frozen=True)
class FinetuneConfig:
    """What fine-tuning is given; pipeline.py says what each is, and in which unit."""

    switch_epoch: int
    epochs: int
    blocks: int
    batch_size: int
    learning_rate: float
    schedule: str
    warmup: float
    rotation: float
    dropout: float
    label_smoothing: float
    mixed_precision: str
    seed: int


def finetune(
    photos: Path,
    checkpoint_directory: Path,
    model_file: Path,
    history_file: Path,
    logs: Path,
    config: FinetuneConfig,
    resume: Resume | None = None,
) -> dict[str, str]:
    """Unfreeze the backbone and continue from the checkpoint of `config.switch_epoch`.

    Args:
        photos: Records that prepare wrote.
        checkpoint_directory: Checkpoints that transfer wrote.
        model_file: `.keras` file to write: the model of the best epoch by validation.
        history_file: JSON to write: an entry an epoch.
        logs: Directory to write TensorBoard's logs to.
        config: Where to start and how to optimise.
        resume: Where the state is kept while it trains.

    Returns:
        Digests of the model and the history.

    Raises:
        CheckpointNotFoundError: No checkpoint was saved for `config.switch_epoch`.
        RecordsError: The records are not whole.

    Source:
        https://keras.io/guides/transfer_learning/ (BatchNormalization stays in inference mode)
    """
    manifest = verify_records(photos)
    training.deterministic(config.seed)
    with training.strategy().scope():
        backbone, head = checkpoints.load(checkpoint_directory, config.switch_epoch)
        head.get_layer("dropout").rate = config.dropout
        pattern = checkpoints.read(checkpoint_directory)["block_pattern"]
        unfreeze(backbone, pattern, last_blocks=config.blocks)
        model = training.join(backbone, head)
        rates = schedule(config, manifest["splits"]["train"]["photos"])
        training.compile_model(model, rates, config.label_smoothing, config.mixed_precision)
    # Another order of the photos than the epochs of transfer learning had.
    seed = config.seed + config.switch_epoch
    resume = resume or Resume()
    inputs = {
        "records": manifest["digest"],
        "checkpoints": checkpoints.digest(checkpoint_directory),
        "precision": backbone.layers[-1].compute_dtype,
    }
    resume.open("finetune", config, inputs)
    trained = training.fit(
        model,
        photos,
        partial(training_batches, photos, config.batch_size, config.rotation, seed, config.epochs),
        partial(plain_batches, photos, "validation", cached=True),
        config.epochs,
        config.batch_size,
        seed,
        f"finetune {config.switch_epoch}",
        logs,
        resume,
    )
    digest = models.save(models.complete(model, manifest), model_file)
    start = checkpoints.read(checkpoint_directory)["history"][config.switch_epoch - 1]
    training.write_json(history_file, training.history(trained, "finetune", config.switch_epoch, digest, start))
    return {"model": digest, "history": hashlib.sha256(json.dumps(trained.rows).encode()).hexdigest()}


def schedule(config: FinetuneConfig, photos: int) -> object:
    """The learning rate at each step: it rises evenly from 0 for `warmup` of all steps, then stays, or falls to 0.

    Source:
        Goyal et al. 2017, Accurate, Large Minibatch SGD (gradual warmup).
    """
    import keras

    if config.schedule == "constant" and not config.warmup:
        return config.learning_rate
    steps = training.steps_per_epoch(photos, config.batch_size) * config.epochs
    rising = round(steps * config.warmup)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if rising else config.learning_rate,
        steps - rising,
        alpha=1.0 if config.schedule == "constant" else 0.0,
        warmup_target=config.learning_rate if rising else None,
        warmup_steps=rising,
    )
