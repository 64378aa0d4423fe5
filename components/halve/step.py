"""Halving: the end of a rung of the search. The better half of its candidates goes on; what became of all is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from switchpoint.config import Config
from switchpoint.errors import RecordsError, again
from switchpoint.files import write_json
from switchpoint.progress import say
from switchpoint.provenance.digests import json_digest
from switchpoint.training import rungs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from switchpoint.documents.training import Candidate, History, Search


@dataclass(frozen=True)
class HalveConfig(Config):
    """What halving is given.

    Attributes:
        rung: Which one has ended, from 1.
        epochs: Of a fine-tuning that goes to its end.
        seed: Of the rung's trainings.
    """

    rung: int
    epochs: int
    seed: int


class Halved(NamedTuple):
    """Who goes on, and the digest of what was written."""

    survivors: list[Candidate]
    digest: str


def halve(histories: Mapping[Path, str], before: tuple[Path, str] | None, search: Path, config: HalveConfig) -> Halved:
    """Choose the candidates that are trained further.

    Args:
        histories: Of the rung's trainings, each with its artifact's digest.
        before: What the rung before wrote, and its digest.
        search: JSON to write: a `documents.Search`, of the rungs so far.
        config: Which rung.

    Raises:
        RecordsError: A history is not what finetune wrote or of another seed, two are of one candidate, or they are not
            those that the rung before left.
    """
    found = [_read(path, digest) for path, digest in histories.items()]
    candidates = [rungs.candidate(history) for history in found]
    if len(set(candidates)) < len(candidates) or {history["seed"] for history in found} != {config.seed}:
        raise RecordsError(
            f"Rung {config.rung} of seed {config.seed} has other trainings than one of each candidate. "
            + again("finetune")
        )
    left = rungs.survivors(found)
    document: Search = rungs.read(*before) if before else {"epochs": config.epochs, "rungs": []}
    if before and {tuple(each) for each in document["rungs"][-1]["survivors"]} != set(candidates):
        raise RecordsError(
            f"Rung {config.rung} has other candidates than rung {config.rung - 1} left. {again('halve')}"
        )
    document["rungs"].append(
        {
            "rung": config.rung,
            "until": rungs.until(config.epochs, config.rung),
            "histories": sorted(found, key=rungs.candidate),
            "survivors": [rungs.candidate(history) for history in left],
        }
    )
    write_json(search, document)
    say("halve", f"rung {config.rung}: {len(left)} of {len(found)} candidates go on")
    survivors: list[Candidate] = [
        {"switch_epoch": history["switch_epoch"], "learning_rate": history["learning_rate"]} for history in left
    ]
    return Halved(survivors, json_digest(document))


def _read(path: Path, digest: str) -> History:
    history: History = json.loads(path.read_text(encoding="utf-8"))
    if json_digest(history, "seconds") != digest:
        raise RecordsError(f"{path} is not what finetune wrote: its digest is not its artifact's. {again('finetune')}")
    return history
