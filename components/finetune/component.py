"""KFP's wrapper of the finetune step."""

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("finetune"), install_kfp_package=False)
def finetune(
    records: dsl.Input[dsl.Dataset],
    checkpoints: dsl.Input[dsl.Artifact],
    switch_epoch: int,
    epochs: int,
    rung: int,
    blocks: int,
    batch_size: int,
    learning_rate: float,
    schedule: str,
    warmup: float,
    patience: int,
    augmentation: str,
    rotation: float,
    dropout: float,
    label_smoothing: float,
    class_weights: str,
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
        model: The model of the last epoch not shown worse than the best by validation.
        history: A row an epoch.
        logs: TensorBoard's logs.
    """
    given = locals()
    from pathlib import Path

    from components.finetune.step import FinetuneConfig, Outputs, finetune
    from switchpoint.data.manifest import read_manifest
    from switchpoint.provenance.digests import content_digest
    from switchpoint.provenance.metadata import MODEL, describe, embed
    from switchpoint.training.checkpoints import read
    from switchpoint.training.resume import Resume

    config = FinetuneConfig.given(given)
    outputs = Outputs(model=Path(model.path, MODEL), history=Path(history.path), logs=Path(logs.path))
    with Resume.from_environment() as resume:
        digests = finetune(Path(records.path), Path(checkpoints.path), outputs, config, resume)
        model.framework = "keras"
        inputs = {"records": records.metadata["digest"], "checkpoints": checkpoints.metadata["digest"]}
        for artifact, name, digest in (
            (model, "Model", digests["model"]),
            (history, "History", digests["history"]),
            (logs, "TensorBoard logs", content_digest(outputs.logs)),
        ):
            shown = (
                f"{name}, fine-tuned from epoch {config.switch_epoch} at {config.learning_rate:g}, seed {config.seed}"
            )
            artifact.metadata.update(describe(shown, "finetune", config, inputs, digest))
        embed(
            outputs.model,
            model.metadata,
            records.metadata,
            read_manifest(Path(records.path)),
            checkpoints.metadata,
            read(Path(checkpoints.path))["heads"],
        )
