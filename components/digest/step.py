"""digest: what lies at the addresses of dataset and weights now, as far as can be told without fetching it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from switchpoint import addresses, storage
from switchpoint.config import Config
from switchpoint.data import sources
from switchpoint.errors import ParameterError
from switchpoint.progress import say
from switchpoint.provenance.digests import AT_END
from switchpoint.training.backbones.table import weights_digest

if TYPE_CHECKING:
    from switchpoint.documents.training import Candidate

CONTENTS = "contents"  # asked for in place of a digest: of a volume's files, and not of their sizes and times


@dataclass(frozen=True)
class DigestConfig(Config):
    """What to take digests of, and what to combine; pipeline.py says what each is."""

    dataset: str
    dataset_digest: str
    backbone: str
    weights: str
    weights_digest: str
    seeds: Sequence[int]
    switch_epochs: Sequence[int]
    learning_rates: Sequence[float]
    search: str
    drift: str
    promote: str
    shape: str


class Digests(NamedTuple):
    """SHA-256 (hex) of each, the candidates and the lowest seed, under the names of the component's outputs."""

    of_dataset: str
    of_weights: str
    candidates: list[Candidate]
    first_seed: int


def digest(config: DigestConfig) -> Digests:
    """What is given is handed on; what is not is taken where the data is.

    The step is never cached, and what it finds is in the cache key of the steps that read: so a cloned or a recurring
    run sees that the photos behind an address have changed (docs/adr/0013).

    Raises:
        ParameterError: The pipeline was compiled for another search, or other steps at its end.
        DatasetError: No source knows the address, or nothing is there.
        StorageError: A bucket can't be read, or holds nothing there; new photos may be none yet.
        WeightsError: The file of weights is not there.
    """
    if (asked := shape(vars(config))) != config.shape:
        raise ParameterError(
            f"search={config.search!r}, drift={config.drift!r} and promote={config.promote!r} ask for the steps of "
            f"{asked!r}, but this pipeline was compiled with those of {config.shape!r}. Submit it with the command, "
            "which compiles what is asked for."
        )
    look(config.drift)
    return Digests(
        _of_dataset(config.dataset, contents=config.dataset_digest == CONTENTS)
        if config.dataset_digest in ("", CONTENTS)
        else config.dataset_digest,
        config.weights_digest or of_weights(config.backbone, config.weights),
        candidates(config.switch_epochs, config.learning_rates),
        int(min(config.seeds)),
    )


def shape(parameters: Mapping[str, Any]) -> str:
    """What of a run's parameters decides which steps there are: the search, and those at its end that it asks for.

    Args:
        parameters: A run's, also of one that was made before they were there.

    Returns:
        Such as `sweep`, or `halving, promote, drift`.
    """
    at_end = [step for step in AT_END if parameters.get(step)]
    return ", ".join([str(parameters.get("search", "sweep")), *at_end])


def look(photos: str) -> None:
    """Whether a bucket with new photos can be listed and read: told here, and not when all is trained."""
    if addresses.is_remote(photos) and (found := storage.listing(photos)):
        smallest = min(found, key=lambda item: item.size)
        storage.read_bytes(f"{addresses.place(photos)}/{smallest.name}")


def candidates(switch_epochs: Sequence[int], learning_rates: Sequence[float]) -> list[Candidate]:
    """Every switch epoch with every learning rate, ascending: the rounds of the loop over them, in their order."""
    return [
        {"switch_epoch": epoch, "learning_rate": rate}
        for epoch in sorted({int(each) for each in switch_epochs})
        for rate in sorted({float(each) for each in learning_rates})
    ]


def _of_dataset(dataset: str, contents: bool) -> str:
    found = sources.digest(dataset, contents)
    say("digest", f"{dataset} has the digest {found}")
    return found


def of_weights(backbone: str, weights: str) -> str:
    """The digest of pretrained weights: an object's from its bucket's listing, else the file's or the published."""
    return storage.digest(weights) if addresses.is_remote(weights) else weights_digest(backbone, weights)
