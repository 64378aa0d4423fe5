"""A seed's trainings side by side in one directory: what collect writes and report reads.

00/…                  transfer learning alone: history.json, evaluation.json, model.keras
04-0.0003/…           the fine-tuning from epoch 4 at that learning rate
pretrained.json       where the pretrained weights came from
trainings.json        the seed, the candidates, and a digest of every file; written last, so that what lacks it is
                      not whole
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from switchpoint.errors import RecordsError, again
from switchpoint.files import link, write_json
from switchpoint.provenance.digests import file_digest, json_digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from switchpoint.documents.training import Trainings

MANIFEST = "trainings.json"
PRETRAINED = "pretrained.json"
ALONE = "transfer learning alone"


class Files(NamedTuple):
    """Files of one training.

    Attributes:
        history: JSON: a `documents.History`.
        evaluation: JSON: a `documents.Evaluation`.
        model: `.keras` file.
    """

    history: Path
    evaluation: Path
    model: Path


class Candidate(NamedTuple):
    """A switch epoch with a learning rate; both 0: transfer learning alone."""

    switch_epoch: int = 0
    learning_rate: float = 0.0

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        return f"fine-tuning from epoch {self.switch_epoch} at {self.learning_rate:g}" if self.switch_epoch else ALONE


def files(directory: Path, candidate: Candidate) -> Files:
    """Where the files of a training are."""
    # Not rounded: two rates may agree in six digits.
    place = directory / f"{candidate.switch_epoch:02d}{f'-{candidate.learning_rate}' * bool(candidate.switch_epoch)}"
    return Files(place / "history.json", place / "evaluation.json", place / "model.keras")


def write(directory: Path, seed: int, trainings: Mapping[Candidate, Files], pretrained: Path) -> str:
    """Put a seed's trainings side by side: models take no room a second time where the disk can share a file.

    Args:
        directory: Made here.
        seed: Theirs.
        trainings: Files of each.
        pretrained: JSON: a `documents.Pretrained`.

    Returns:
        The directory's digest, which is the manifest's.
    """
    digests = {}
    for candidate, given in sorted(trainings.items()):
        for source, path in zip(given, files(directory, candidate), strict=True):
            link(source, path)
            digests[str(path.relative_to(directory))] = file_digest(path)
    link(pretrained, directory / PRETRAINED)
    digests[PRETRAINED] = file_digest(directory / PRETRAINED)
    manifest: Trainings = {"seed": seed, "candidates": sorted(trainings), "files": digests}
    write_json(directory / MANIFEST, manifest)
    return json_digest(manifest)


def read(directory: Path, digest: str) -> Trainings:
    """The manifest, after every file was found to be what was collected.

    Args:
        directory: From `write`.
        digest: What `write` gave.

    Raises:
        RecordsError: Something in it is not what was collected.
    """
    try:
        manifest: Trainings = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        changed = [name for name, found in manifest["files"].items() if file_digest(directory / name) != found]
        if json_digest(manifest) != digest:
            changed.append(MANIFEST)
    except (OSError, ValueError, LookupError) as error:
        raise RecordsError(f"{directory} is not what collect wrote ({error}). {again('collect')}") from error
    if changed:
        raise RecordsError(
            f"{directory / changed[0]} is not what collect wrote: its digest is another. {again('collect')}"
        )
    return manifest
