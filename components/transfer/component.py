"""KFP's wrapper of the transfer step."""

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("transfer"), install_kfp_package=False)
def transfer(
    records: dsl.Input[dsl.Dataset],
    backbone: str,
    weights: str,
    weights_digest: str,
    epochs: int,
    image_size: int,
    batch_size: int,
    learning_rate: float,
    first_decay_steps: int,
    t_mul: float,
    m_mul: float,
    rotation: float,
    dropout: float,
    label_smoothing: float,
    mixed_precision: str,
    feature_views: int,
    seed: int,
    checkpoints: dsl.Output[dsl.Artifact],
    model: dsl.Output[dsl.Model],
    history: dsl.Output[dsl.Artifact],
    logs: dsl.Output[dsl.Artifact],
    pretrained: dsl.Output[dsl.Artifact],
) -> None:
    """Train a new head on the frozen backbone and keep a checkpoint of every epoch.

    Args:
        records: What prepare wrote.
        backbone: The network's name.
        weights: imagenet, none, a file or gs://…
        weights_digest: SHA-256 that the weights must have; empty = not checked.
        epochs: How many to train.
        image_size: Height and width of the crops, in pixels.
        batch_size: Photos a step.
        learning_rate: At the start.
        first_decay_steps: Steps until the first restart; 0 = one decay over all epochs.
        t_mul: Each decay's length, as a multiple of the one before.
        m_mul: Learning rate after a restart, as a fraction of the one before.
        rotation: Largest turn, as a fraction of a full one.
        dropout: Fraction of the pooled features to drop.
        label_smoothing: 0 to 1.
        mixed_precision: auto, on or off.
        feature_views: Views of each photo whose features are computed once; 0 = features anew every epoch.
        seed: Seed of every draw.
        checkpoints: The backbone once, and the head of every epoch.
        model: The model of the best epoch by validation: the baseline.
        history: A row an epoch.
        logs: TensorBoard's logs.
        pretrained: Where the pretrained weights came from, and their digest.
    """
    from pathlib import Path

    from components.transfer.step import TransferConfig, transfer
    from switchpoint.data.manifest import read_manifest
    from switchpoint.provenance.metadata import describe, embed
    from switchpoint.training.resume import Resume

    config = TransferConfig(
        backbone=backbone,
        weights=weights,
        weights_digest=weights_digest,
        epochs=epochs,
        image_size=image_size,
        batch_size=batch_size,
        learning_rate=learning_rate,
        first_decay_steps=first_decay_steps,
        t_mul=t_mul,
        m_mul=m_mul,
        rotation=rotation,
        dropout=dropout,
        label_smoothing=label_smoothing,
        mixed_precision=mixed_precision,
        feature_views=feature_views,
        seed=seed,
    )
    with Resume.from_environment() as resume:
        digests = transfer(
            photos=Path(records.path),
            checkpoint_directory=Path(checkpoints.path),
            model_file=Path(model.path, "model.keras"),
            history_file=Path(history.path),
            logs=Path(logs.path),
            pretrained_file=Path(pretrained.path),
            config=config,
            resume=resume,
        )
        model.framework = "keras"
        inputs = {"records": records.metadata["digest"], "weights": digests["pretrained"]}
        pretrained.metadata.update(
            describe("Pretrained weights", "transfer", {"weights": weights}, {}, digests["pretrained"])
        )
        for artifact, name, digest in (
            (checkpoints, "Checkpoints of every epoch", digests["checkpoints"]),
            (model, "Model, transfer learning alone", digests["model"]),
            (history, "History of transfer learning", digests["history"]),
            (logs, "TensorBoard logs of transfer learning", None),
        ):
            artifact.metadata.update(describe(name, "transfer", config, inputs, digest))
        embed(Path(model.path, "model.keras"), model.metadata, records.metadata, read_manifest(Path(records.path)))
