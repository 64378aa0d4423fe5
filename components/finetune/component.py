"""KFP's wrapper of the finetune step."""

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("finetune"), install_kfp_package=False)
def finetune(
    records: dsl.Input[dsl.Dataset],
    checkpoints: dsl.Input[dsl.Artifact],
    switch_epoch: int,
    epochs: int,
    blocks: int,
    batch_size: int,
    learning_rate: float,
    schedule: str,
    warmup: float,
    rotation: float,
    dropout: float,
    label_smoothing: float,
    mixed_precision: str,
    seed: int,
    model: dsl.Output[dsl.Model],
    history: dsl.Output[dsl.Artifact],
    logs: dsl.Output[dsl.Artifact],
) -> None:
    """Unfreeze the backbone and train on from the checkpoint of one epoch of transfer learning.

    Args:
        records: What prepare wrote.
        checkpoints: What transfer wrote.
        switch_epoch: The epoch to start from; epochs count from 1.
        epochs: How many to train.
        blocks: How many of the backbone's last blocks to train; 0 = all.
        batch_size: Photos a step.
        learning_rate: At the start.
        schedule: constant or cosine.
        warmup: Share of the steps over which the learning rate rises from 0.
        rotation: Largest turn, as a fraction of a full one.
        dropout: Fraction of the pooled features to drop.
        label_smoothing: 0 to 1.
        mixed_precision: auto, on or off.
        seed: Seed of every draw.
        model: The model of the best epoch by validation.
        history: A row an epoch.
        logs: TensorBoard's logs.
    """
    from pathlib import Path

    from components.finetune.step import FinetuneConfig, finetune
    from switchpoint.data.manifest import read_manifest
    from switchpoint.provenance.metadata import describe, embed
    from switchpoint.training.checkpoints import read
    from switchpoint.training.resume import Resume

    config = FinetuneConfig(
        switch_epoch=switch_epoch,
        epochs=epochs,
        blocks=blocks,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule,
        warmup=warmup,
        rotation=rotation,
        dropout=dropout,
        label_smoothing=label_smoothing,
        mixed_precision=mixed_precision,
        seed=seed,
    )
    with Resume.from_environment() as resume:
        digests = finetune(
            photos=Path(records.path),
            checkpoint_directory=Path(checkpoints.path),
            model_file=Path(model.path, "model.keras"),
            history_file=Path(history.path),
            logs=Path(logs.path),
            config=config,
            resume=resume,
        )
        model.framework = "keras"
        inputs = {"records": records.metadata["digest"], "checkpoints": checkpoints.metadata["digest"]}
        for artifact, name, digest in (
            (model, "Model", digests["model"]),
            (history, "History", digests["history"]),
            (logs, "TensorBoard logs", None),
        ):
            shown = f"{name}, fine-tuned from epoch {switch_epoch}"
            artifact.metadata.update(describe(shown, "finetune", config, inputs, digest))
        embed(
            Path(model.path, "model.keras"),
            model.metadata,
            records.metadata,
            read_manifest(Path(records.path)),
            checkpoints.metadata,
            read(Path(checkpoints.path))["heads"],
        )
