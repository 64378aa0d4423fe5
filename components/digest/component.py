"""KFP's wrapper of the digest step."""

from typing import List, NamedTuple

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("digest"), install_kfp_package=False)
def digest(
    dataset: str,
    dataset_digest: str,
    backbone: str,
    weights: str,
    weights_digest: str,
    seeds: List[int],
    switch_epochs: List[int],
    learning_rates: List[float],
    search: str,
    drift: str,
    promote: str,
    shape: str,
    digests: dsl.Output[dsl.Artifact],
) -> NamedTuple(  # type: ignore[valid-type]
    "Digests", [("of_dataset", str), ("of_weights", str), ("candidates", list), ("first_seed", int)]
):
    """Take the digests of dataset and weights where they lie, unless they are given, and list the candidates.

    Args:
        dataset: Its address.
        dataset_digest: Given, or empty.
        backbone: Whose weights.
        weights: Their address.
        weights_digest: Given, or empty.
        seeds: Of training.
        switch_epochs: Where fine-tuning starts.
        learning_rates: That it has.
        search: That is asked for.
        drift: New photos that are compared, if there are.
        promote: As what the best model is promoted, if it is.
        shape: Which steps this pipeline was compiled with.
        digests: Both, for who looks at the run: every run has its own, since this step is never cached.

    Returns:
        The digest of each, given or taken, every switch epoch with every learning rate, and the lowest seed, which is
        the search's.
    """
    given = locals()
    from pathlib import Path

    from components.digest.step import DigestConfig, digest
    from switchpoint.files import write_json
    from switchpoint.tracking import check_tracked
    from switchpoint.training.resume import Resume

    if promote:
        check_tracked()
    Resume.from_environment()  # where states can't be kept is told here, and not when all is prepared
    found = digest(DigestConfig.given(given))
    write_json(Path(digests.path), {"dataset_digest": found.of_dataset, "weights_digest": found.of_weights})
    digests.metadata["display_name"] = "Digests of dataset and weights"
    return found
