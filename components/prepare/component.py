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
    leaks: str,
    seed: int,
    records: dsl.Output[dsl.Dataset],
    source: dsl.Output[dsl.Artifact],
    look: dsl.Output[dsl.HTML],
) -> None:
    """Photos to sharded records of the size that training crops from.

    Args:
        records: TFRecords of train, validation and test, and their manifest.
        source: Where the photos came from: URI and digest.
        look: A look at the data.
    """
    given = locals()
    from pathlib import Path

    from components.prepare.step import Outputs, PrepareConfig, prepare
    from switchpoint.provenance.digests import content_digest
    from switchpoint.provenance.metadata import describe

    config = PrepareConfig.given(given)
    manifest = prepare(Outputs(Path(records.path), Path(source.path), Path(look.path)), config)
    inputs = {"dataset": manifest["source"]["digest"]}
    source.metadata.update(describe("Dataset", "prepare", {"dataset": dataset}, {}, manifest["source"]["digest"]))
    records.metadata.update(describe("Records", "prepare", config, inputs, manifest["digest"]))
    look.metadata.update(describe("A look at the data", "prepare", config, inputs, content_digest(Path(look.path))))
