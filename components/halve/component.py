"""KFP's wrapper of the halve step."""

from typing import List, NamedTuple

from kfp import dsl

from switchpoint.provenance.digests import image


@dsl.component(base_image=image("halve"), install_kfp_package=False)
def halve(
    histories: dsl.Input[List[dsl.Artifact]],
    rung: int,
    epochs: int,
    seed: int,
    search: dsl.Output[dsl.Artifact],
    before: dsl.Input[dsl.Artifact] | None = None,
) -> NamedTuple("Halved", [("survivors", list)]):  # type: ignore[valid-type]
    """End a rung of the search: the better half of its candidates goes on.

    Args:
        histories: A history a candidate, until the rung's end.
        rung: Which one it is, from 1.
        epochs: Of a fine-tuning that goes to its end.
        seed: Of the rung's trainings.
        search: What became of each candidate in the rungs so far.
        before: The same, of the rungs before.

    Returns:
        The candidates that go on.
    """
    given = locals()
    from pathlib import Path

    from components.halve.step import HalveConfig, halve
    from switchpoint.provenance.metadata import describe

    config = HalveConfig.given(given)
    found = {Path(each.path): str(each.metadata["digest"]) for each in histories}
    earlier = (Path(before.path), str(before.metadata["digest"])) if before else None
    halved = halve(found, earlier, Path(search.path), config)
    inputs = {f"history.{number}": digest for number, digest in enumerate(found.values())}
    if earlier:
        inputs["before"] = earlier[1]
    search.metadata.update(describe(f"Search until rung {config.rung}", "halve", config, inputs, halved.digest))
    return (halved.survivors,)
