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
    augmentation: str,
    rotation: float,
    dropout: float,
    label_smoothing: float,
    class_weights: str,
    mixed_precision: str,
    feature_views: int,
    seed: int,
    checkpoints: dsl.Output[dsl.Artifact],
    model: dsl.Output[dsl.Model],
    history: dsl.Output[dsl.Artifact],
    logs: dsl.Output[dsl.Artifact],
    pretrained: dsl.Output[dsl.Artifact],
    reference: dsl.Output[dsl.Artifact],
) -> None:
    """Train a new head on the frozen backbone and keep a checkpoint of every epoch.

    Args:
        records: What prepare wrote.
        checkpoints: The backbone once, and the head of every epoch.
        model: The model of the last epoch not shown worse than the best by validation: the baseline.
        history: A row an epoch.
        logs: TensorBoard's logs.
        pretrained: Where the pretrained weights came from, and their digest.
        reference: Features of validation photos, with which new photos are compared.
    """
    given = locals()
    from pathlib import Path

    from components.transfer.step import Outputs, TransferConfig, transfer
    from switchpoint.data.manifest import read_manifest
    from switchpoint.provenance.digests import content_digest
    from switchpoint.provenance.metadata import MODEL, describe, embed
    from switchpoint.training.resume import Resume

    config = TransferConfig.given(given)
    outputs = Outputs(
        checkpoints=Path(checkpoints.path),
        model=Path(model.path, MODEL),
        history=Path(history.path),
        logs=Path(logs.path),
        pretrained=Path(pretrained.path),
        reference=Path(reference.path),
    )
    with Resume.from_environment() as resume:
        digests = transfer(Path(records.path), outputs, config, resume)
        model.framework = "keras"
        inputs = {"records": records.metadata["digest"], "weights": digests["pretrained"]}
        pretrained.metadata.update(
            describe("Pretrained weights", "transfer", {"weights": weights}, {}, digests["pretrained"])
        )
        for artifact, name, digest in (
            (checkpoints, f"Checkpoints of every epoch, seed {config.seed}", digests["checkpoints"]),
            (model, f"Model, transfer learning alone, seed {config.seed}", digests["model"]),
            (history, f"History of transfer learning, seed {config.seed}", digests["history"]),
            (reference, f"Reference for new photos, seed {config.seed}", digests["reference"]),
            (logs, f"TensorBoard logs of transfer learning, seed {config.seed}", content_digest(outputs.logs)),
        ):
            artifact.metadata.update(describe(name, "transfer", config, inputs, digest))
        embed(outputs.model, model.metadata, records.metadata, read_manifest(Path(records.path)))
