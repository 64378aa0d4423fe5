"""KFP's wrapper of the digest step."""

from typing import NamedTuple

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("digest"), install_kfp_package=False)
def digest(
    dataset: str,
    dataset_digest: str,
    backbone: str,
    weights: str,
    weights_digest: str,
) -> NamedTuple("Digests", [("of_dataset", str), ("of_weights", str)]):  # type: ignore[valid-type]
    """Take the digests of dataset and weights where they lie, unless they are given.

    Returns:
        The digest of each, given or taken.
    """
    given = locals()
    from components.digest.step import DigestConfig, digest
    from switchpoint.training.resume import Resume

    Resume.from_environment()  # a volume that can't be written is told here, and not when all is prepared
    return digest(DigestConfig.given(given))
