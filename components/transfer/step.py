"""Transfer learning: a new head on a frozen backbone, a checkpoint an epoch."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from switchpoint import addresses, storage
from switchpoint.config import Config
from switchpoint.data.manifest import verify_records
from switchpoint.errors import DivergedError, WeightsError
from switchpoint.files import write_json
from switchpoint.provenance.digests import content_digest, json_digest
from switchpoint.training import checkpoints, loop, network, reference, saved_model
from switchpoint.training.backbones.blocks import freeze
from switchpoint.training.backbones.build import build
from switchpoint.training.backbones.table import named, weights_digest
from switchpoint.training.batches import feed
from switchpoint.training.features import Views, on_features
from switchpoint.training.replicas import strategy
from switchpoint.training.resume import Resume
from switchpoint.training.streams import stream
from switchpoint.training.surroundings import surroundings

if TYPE_CHECKING:
    import keras

    from switchpoint.documents.records import Manifest


@dataclass(frozen=True)
class TransferConfig(Config):
    """What transfer learning is given; pipeline.py says what each is, and in which unit."""

    backbone: str
    weights: str
    weights_digest: str
    epochs: int
    image_size: int
    batch_size: int
    learning_rate: float
    first_decay_steps: int
    t_mul: float
    m_mul: float
    augmentation: str
    rotation: float
    dropout: float
    label_smoothing: float
    class_weights: str
    mixed_precision: str
    feature_views: int
    seed: int


class Outputs(NamedTuple):
    """What to write.

    Attributes:
        checkpoints: Directory: see switchpoint/training/checkpoints.py.
        model: `.keras` file: the model of the last epoch not shown worse than the best by validation.
        history: JSON: a `documents.History`.
        logs: Directory for TensorBoard's logs.
        pretrained: JSON: a `documents.Pretrained`.
        reference: What new photos are compared with: see switchpoint/training/reference.py.
    """

    checkpoints: Path
    model: Path
    history: Path
    logs: Path
    pretrained: Path
    reference: Path


def transfer(records: Path, outputs: Outputs, config: TransferConfig, resume: Resume | None = None) -> dict[str, str]:
    """Train a new head and keep it after every epoch.

    Args:
        records: Directory that prepare wrote.
        outputs: What to write.
        config: What to train and how.
        resume: Where the state is kept while it trains.

    Returns:
        Digests of the checkpoints, the model, the history and the pretrained weights.

    Raises:
        WeightsError: The pretrained weights can't be had, or have another digest than `weights_digest`.
        RecordsError: The records are not whole.
        DivergedError: The loss was not a number before the first epoch had ended.
    """
    manifest = verify_records(records)
    photos = manifest["splits"]["train"]["photos"]
    seed = stream(config.seed, "transfer")
    backbone, weights = _pretrained(config, seed)
    with strategy().scope():
        head = network.head(backbone, len(manifest["classes"]), config.dropout)
        model = network.join(backbone, head)
        network.set_precision(model, config.mixed_precision)
        trainee = on_features(head) if config.feature_views else model
        loop.compile_model(trainee, schedule(config, photos), config.label_smoothing, config.mixed_precision)

    resume = resume or Resume()
    precision = backbone.layers[-1].compute_dtype
    inputs = {"records": manifest["digest"], "weights": weights, "precision": precision}
    resume.open("transfer", config, inputs, surroundings())
    views = _views(records, backbone, head, config, seed)
    computing = views.seconds if views else []
    seen = (
        views.feed(config.epochs)
        if views
        else feed(records, config.batch_size, config.augmentation, config.rotation, seed, config.epochs)
    )
    counted = loop.class_weights(config.class_weights, manifest["splits"]["train"]["per_class"])
    phase = loop.Phase("transfer", config.epochs, config.batch_size, seed, keep_every=True, weights=counted)
    trained = loop.fit(trainee, seen, phase, outputs.logs, resume)
    # An epoch's time is that of its view too.
    trained.seconds[: len(computing)] = [round(sum(both), 3) for both in zip(trained.seconds, computing, strict=False)]
    if not trained.rows:
        raise DivergedError(
            f"Transfer learning diverged before its first epoch had ended ({trained.diverged}). "
            "Lower transfer_learning_rate."
        )
    model_digest = saved_model.save(saved_model.complete(model, manifest), outputs.model)
    views = views or Views(backbone, head, records, 1, False, config.batch_size, "lab", 0.0, seed)
    reference.write(outputs.reference, _reference(views, head, manifest))
    pattern = named(config.backbone).block_pattern
    checkpoints_digest = checkpoints.write(
        outputs.checkpoints, backbone, head, pattern, trained.every, trained.rows, manifest["classes"]
    )
    write_json(outputs.pretrained, {"backbone": config.backbone, "weights": config.weights, "digest": weights})
    history = loop.history(trained, 0, 0.0, config.seed, model_digest, trained.rows[0])
    write_json(outputs.history, history)
    return {
        "checkpoints": checkpoints_digest,
        "model": model_digest,
        "history": json_digest(history, "seconds"),
        "pretrained": weights,
        "reference": content_digest(outputs.reference),
    }


def _pretrained(config: TransferConfig, seed: int) -> tuple[keras.Model, str]:
    """The frozen backbone, and the digest of the weights that it has; from here on all draws are the seed's."""
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
        loop.deterministic(seed)  # after the download, whose retries draw random numbers, too
        with strategy().scope():
            backbone = build(config.backbone, weights, config.image_size)
    freeze(backbone)
    return backbone, digest


def _views(records: Path, backbone: keras.Model, head: keras.Model, config: TransferConfig, seed: int) -> Views | None:
    """The features that the head is trained on; None: it is trained on photos."""
    views = min(config.feature_views, config.epochs)
    if not views:
        return None
    with strategy().scope():
        augmented = config.feature_views > 1
        return Views(
            backbone, head, records, views, augmented, config.batch_size, config.augmentation, config.rotation, seed
        )


def _reference(views: Views, head: keras.Model, manifest: Manifest) -> reference.Reference:
    """What the trained head, and the backbone below it, make of validation photos."""
    probabilities = on_features(head).predict(views.held_out, verbose=0)
    sizes = manifest["image_height"], manifest["image_width"], manifest["image_size"]
    return reference.measure(views.held_out, probabilities, views.features[0], views.labels, manifest["classes"], sizes)


def schedule(config: TransferConfig, photos: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Cosine decay with warm restarts, as a function of the step.

    Source:
        Loshchilov & Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts.
    """
    import keras

    if not config.first_decay_steps:  # one decay, and no restart at the very end
        steps = loop.steps_per_epoch(photos, config.batch_size) * config.epochs
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
    return keras.optimizers.schedules.CosineDecayRestarts(
        config.learning_rate, config.first_decay_steps, t_mul=config.t_mul, m_mul=config.m_mul
    )
