"""KFP's wrapper of the drift step."""

from typing import List

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("drift"), install_kfp_package=False)
def drift(
    references: dsl.Input[List[dsl.Artifact]],
    models: dsl.Input[List[dsl.Model]],
    photos: str,
    comparison: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
) -> None:
    """Compare new photos with those that training held out.

    Args:
        references: What transfer learning wrote of held-out photos, a seed each; that of the lowest is used.
        models: Its models.
        photos: Address of the new photos.
        comparison: What was found.
        page: The same for people, with the most unusual photos.
    """
    given = locals()
    import json
    from pathlib import Path

    from components.drift.step import DriftConfig, Outputs, drift
    from switchpoint.provenance.digests import file_digest
    from switchpoint.provenance.metadata import MODEL, describe

    def seed(artifact: dsl.Artifact) -> int:
        return int(json.loads(artifact.metadata["parameters"])["seed"])

    config = DriftConfig.given(given)
    reference, model = min(references, key=seed), min(models, key=seed)
    outputs = Outputs(Path(comparison.path), Path(page.path))
    found = drift(Path(reference.path), Path(model.path, MODEL), outputs, config)
    inputs = {"reference": str(reference.metadata["digest"]), "model": str(model.metadata["digest"])}
    said = found["drift"]
    title = "Not compared" if said is None else "Drift is shown" if said["drift"] else "No drift is shown"
    comparison.metadata.update(describe(title, "drift", config, inputs, file_digest(outputs.comparison)))
    comparison.metadata["sentence"] = found["sentence"]
    page.metadata.update(describe("New photos", "drift", config, inputs, file_digest(outputs.page)))
