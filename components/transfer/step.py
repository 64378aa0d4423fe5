"""Transfer learning: a new head on a frozen backbone, a checkpoint an epoch."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from switchpoint import addresses, storage
from switchpoint.data.manifest import verify_records
from switchpoint.errors import SwitchpointError, WeightsError
from switchpoint.training import checkpoints, features
from switchpoint.training import loop as training
from switchpoint.training import saved_model as models
from switchpoint.training.backbones.blocks import freeze
from switchpoint.training.backbones.build import build
from switchpoint.training.backbones.table import named, weights_digest
from switchpoint.training.batches import plain_batches, training_batches
from switchpoint.training.resume import Resume


@dataclass(frozen=True)
class TransferConfig:
    """What transfer learning is given; pipeline.py says what each is, and in which unit."""

    backbone: str
    weights: str
    epochs: int
    image_size: int
    batch_size: int
    learning_rate: float
    first_decay_steps: int
    t_mul: float
    m_mul: float
    rotation: float
    dropout: float
    label_smoothing: float
    mixed_precision: str
    feature_views: int
    seed: int
    weights_digest: str = ""


def transfer(
    photos: Path,
    checkpoint_directory: Path,
    model_file: Path,
    history_file: Path,
    logs: Path,
    pretrained_file: Path,
    config: TransferConfig,
    resume: Resume | None = None,
) -> dict[str, str]:
    """Train a new head and keep it after every epoch.

    Args:
        photos: Records that prepare wrote.
        checkpoint_directory: To write: see switchpoint/training/checkpoints.py.
        model_file: `.keras` file to write: the model of the best epoch by validation.
        history_file: JSON to write: an entry an epoch.
        logs: Directory to write TensorBoard's logs to.
        pretrained_file: JSON to write: where the pretrained weights came from.
        config: What to train and how.
        resume: Where the state is kept while it trains.

    Returns:
        Digests of the checkpoints, the model and the pretrained weights.

    Raises:
        WeightsError: The pretrained weights can't be had, or have another digest than `weights_digest`.
        RecordsError: The records are not whole.
        SwitchpointError: The loss was not a number before the first epoch had ended.
    """
    manifest = verify_records(photos)
    training.deterministic(config.seed)
    strategy = training.strategy()
    with tempfile.TemporaryDirectory() as temporary:
        weights = config.weights
        if addresses.is_remote(weights):
            weights = str(Path(temporary, Path(weights).name))
            digest = storage.download(config.weights, Path(weights))
        else:
            digest = weights_digest(config.backbone, weights)
        if config.weights_digest not in ("", digest):
            raise WeightsError(
                f"The weights {config.weights} have the digest {digest}, not {config.weights_digest} as when the run "
                "was started: they have changed since. Start the run again."
            )
        with strategy.scope():
            backbone = build(config.backbone, weights, config.image_size)
    freeze(backbone)
    with strategy.scope():
        head = training.head(backbone, len(manifest["classes"]), config.dropout)
        model = training.join(backbone, head)
        training.set_precision(model, config.mixed_precision)
        trainee = features.on_features(head) if config.feature_views else model
        rates = schedule(config, manifest["splits"]["train"]["photos"])
        training.compile_model(trainee, rates, config.label_smoothing, config.mixed_precision)

    resume = resume or Resume()
    inputs = {"records": manifest["digest"], "weights": digest, "precision": backbone.layers[-1].compute_dtype}
    resume.open("transfer", config, inputs)
    batches: Callable[[int], Any] = partial(
        training_batches, photos, config.batch_size, config.rotation, config.seed, config.epochs
    )
    validation: Callable[[int], Any] = partial(plain_batches, photos, "validation", cached=True)
    computing: list[float] = []
    if count := min(config.feature_views, config.epochs):
        with strategy.scope():
            augmented = config.feature_views > 1
            views = features.Views(
                backbone, head, photos, count, augmented, config.batch_size, config.rotation, config.seed
            )
        batches, validation = partial(views.training_batches, config.epochs), views.validation_batches
        computing = views.seconds
    trained = training.fit(
        trainee,
        photos,
        batches,
        validation,
        config.epochs,
        config.batch_size,
        config.seed,
        "transfer",
        logs,
        resume,
        keep_every=True,
    )
    # An epoch's time is that of its view too.
    trained.seconds[: len(computing)] = [round(sum(both), 3) for both in zip(trained.seconds, computing, strict=False)]
    if not trained.rows:
        raise SwitchpointError(
            f"Transfer learning diverged before its first epoch had ended ({trained.diverged}). "
            "Lower transfer_learning_rate."
        )
    digests = {"model": models.save(models.complete(model, manifest), model_file), "pretrained": digest}
    pattern = named(config.backbone).block_pattern
    digests["checkpoints"] = checkpoints.write(
        checkpoint_directory, backbone, head, pattern, trained.every, trained.rows, manifest["classes"]
    )
    pretrained = {"backbone": config.backbone, "weights": config.weights, "digest": digest}
    training.write_json(pretrained_file, pretrained)
    history = training.history(trained, "transfer", 0, digests["model"], trained.rows[0])
    training.write_json(history_file, history)
    return digests | {"history": hashlib.sha256(json.dumps(trained.rows).encode()).hexdigest()}


def schedule(config: TransferConfig, photos: int) -> object:
    """Cosine decay with warm restarts, as a function of the step.

    Source:
        Loshchilov & Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts.
    """
    import keras

    if not config.first_decay_steps:  # one decay, and no restart at the very end
        steps = training.steps_per_epoch(photos, config.batch_size) * config.epochs
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    return keras.optimizers.schedules.CosineDecayRestarts(
        config.learning_rate, config.first_decay_steps, t_mul=config.t_mul, m_mul=config.m_mul
    )
