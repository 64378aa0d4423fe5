"""KFP's wrapper of the promote step."""

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("promote"), install_kfp_package=False)
def promote(
    records: dsl.Input[dsl.Dataset],
    source: dsl.Input[dsl.Artifact],
    results: dsl.Input[dsl.Metrics],
    page: dsl.Input[dsl.HTML],
    model: dsl.Input[dsl.Model],
    name: str,
    margin: float,
    weights_digest: str,
    promotion: dsl.Output[dsl.Artifact],
) -> None:
    """Register the best model in MLflow, and make it the champion if photos show that it is not worse.

    Args:
        records: What prepare wrote.
        source: What it wrote of the dataset.
        results: What the report came to.
        page: The report.
        model: The best model.
        name: Of the registered model.
        margin: Points that it may be worse.
        weights_digest: Of the pretrained weights.
        promotion: What came of it.
    """
    given = locals()
    from pathlib import Path

    from components.promote.step import PromoteConfig, promote
    from switchpoint.provenance.digests import file_digest
    from switchpoint.provenance.metadata import MODEL, describe

    config = PromoteConfig.given(given)
    outcome = Path(promotion.path)
    found = promote(
        Path(records.path),
        Path(source.path),
        Path(results.path),
        Path(page.path),
        Path(model.path, MODEL),
        outcome,
        config,
    )
    title = f"Version {found['version']} of {found['name']}: {found['outcome']}"
    inputs = {"records": str(records.metadata["digest"]), "model": str(model.metadata["digest"])}
    promotion.metadata.update(describe(title, "promote", config, inputs, file_digest(outcome)))
    promotion.metadata["sentence"] = found["sentence"]
