"""KFP's wrapper of the prepare step."""

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("prepare"), install_kfp_package=False)
def prepare(
    dataset: str,
    dataset_digest: str,
    image_size: int,
    validation_fraction: float,
    max_left_out: float,
    seed: int,
    records: dsl.Output[dsl.Dataset],
    source: dsl.Output[dsl.Artifact],
    look: dsl.Output[dsl.HTML],
) -> None:
    """Photos to sharded records of the size that training crops from.

    Args:
        dataset: sample, a folder, a .tar.gz, tfds:NAME or gs://…
        dataset_digest: SHA-256 that the dataset must have; empty = not checked.
        image_size: Height and width of training's crops, in pixels.
        validation_fraction: Share of the training photos to hold out, 0 to 1.
        max_left_out: Share of unreadable photos to put up with, 0 to 1.
        seed: Seed of the split and of the order.
        records: TFRecords of train, validation and test, and their manifest.
        source: Where the photos came from: URI and digest.
        look: A look at the data.
    """
    from pathlib import Path

    from components.prepare.step import PrepareConfig, prepare
    from switchpoint.provenance.metadata import describe

    config = PrepareConfig(
        dataset=dataset,
        dataset_digest=dataset_digest,
        image_size=image_size,
        validation_fraction=validation_fraction,
        max_left_out=max_left_out,
        seed=seed,
    )
    manifest = prepare(Path(records.path), Path(look.path), Path(source.path), config)
    inputs = {"dataset": manifest["source"]["digest"]}
    source.metadata.update(describe("Dataset", "prepare", {"dataset": dataset}, {}, manifest["source"]["digest"]))
    records.metadata.update(describe("Records", "prepare", config, inputs, manifest["digest"]))
    look.metadata.update(describe("A look at the data", "prepare", config, inputs))
