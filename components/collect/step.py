"""Collecting: the trainings of one seed, each checked to be whole, side by side in one directory."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from switchpoint.config import Config
from switchpoint.errors import RecordsError, again
from switchpoint.progress import say
from switchpoint.provenance.digests import file_digest, json_digest
from switchpoint.provenance.metadata import embedded, measured
from switchpoint.training import collected
from switchpoint.training.collected import Candidate

if TYPE_CHECKING:
    from switchpoint.documents.evaluation import Evaluation
    from switchpoint.documents.training import History


@dataclass(frozen=True)
class CollectConfig(Config):
    """What collecting is given.

    Attributes:
        seed: The trainings'.
    """

    seed: int


class Trained(NamedTuple):
    """One training: its files, and what their artifacts say of them.

    Attributes:
        files: History, evaluation and model.
        digests: Of history and model, from their artifacts' metadata: a file can be edited, and its digest with it.
        metrics: The evaluation's artifact's metadata.
    """

    files: collected.Files
    digests: tuple[str, str]
    metrics: Mapping[str, Any]


def collect(trained: Sequence[Trained], pretrained: Path, trainings: Path, config: CollectConfig) -> str:
    """Check the trainings of a seed, and put them side by side.

    Args:
        trained: Transfer learning alone and each fine-tuning, in any order.
        pretrained: What transfer wrote of the pretrained weights.
        trainings: Directory to write: see `switchpoint.training.collected`.
        config: Whose trainings these are.

    Returns:
        The directory's digest.

    Raises:
        RecordsError: Files are not of one model, not of this seed, or not what a step wrote.
        LineageError: A model file carries no lineage.
    """
    found: dict[Candidate, collected.Files] = {}
    for each in trained:
        candidate = check_whole(each, config.seed)
        if candidate in found:
            raise RecordsError(f"There are two trainings of {candidate.name}. {again('finetune')}")
        found[candidate] = each.files
    digest = collected.write(trainings, config.seed, found, pretrained)
    say("collect", f"seed {config.seed}: {len(found)} trainings")
    return digest


def check_whole(trained: Trained, seed: int) -> Candidate:
    """Check that history, evaluation and model file are of one model, and each is what its step wrote.

    Returns:
        What was trained.

    Raises:
        RecordsError: They are not; it says which is of which model.
        LineageError: The model file carries no lineage.
    """
    files = trained.files
    history: History = _read(files.history)
    evaluation: Evaluation = _read(files.evaluation)
    trained_by = "finetune" if history["switch_epoch"] else "transfer"
    carried = embedded(files.model)["model"]
    said = {
        "history": (_candidate(history), history["seed"], history["model_digest"]),
        "evaluation": (_candidate(evaluation), evaluation["seed"], evaluation["model_digest"]),
        "model file": (_candidate(carried["parameters"]), carried["parameters"]["seed"], str(carried["digest"])),
    }
    named = ", ".join(
        f"the {what} is of {candidate.name}, seed {of_seed} (model {digest[:16]})"
        for what, (candidate, of_seed, digest) in said.items()
    )
    if len(set(said.values())) > 1 or history["seed"] != seed:
        step = "evaluate" if said["history"] == said["model file"] else trained_by
        raise RecordsError(
            f"The files of a training don't belong together, or not to seed {seed}: {named}. {again(step)}"
        )
    if (found := file_digest(files.model)) != (expected := evaluation["model_file"]):
        raise RecordsError(
            f"{files.model} is not the file that belongs to the evaluation: its SHA-256 is {found[:16]}, not "
            f"{expected[:16]}, though {named}. {again(trained_by)}"
        )
    wrote: tuple[tuple[Path, str | None, str | None, str], ...] = (
        (files.history, json_digest(history, "seconds"), trained.digests[0], trained_by),
        (files.model, carried["digest"], trained.digests[1], trained_by),
        (files.evaluation, json_digest(evaluation, "digest", "lineage"), evaluation.get("digest"), "evaluate"),
    )
    for path, digest, of_artifact, step in wrote:
        if digest != of_artifact:
            raise RecordsError(f"{path} is not what {step} wrote: its digest is not its artifact's. {again(step)}")
    _check_numbers(files.evaluation, evaluation, trained.metrics)
    return said["history"][0]


def _check_numbers(path: Path, evaluation: Evaluation, metrics: Mapping[str, Any]) -> None:
    """An evaluation's digest lies in its own file, so its numbers are compared with what else says them."""
    if any(not math.isclose(value, metrics.get(name, math.nan)) for name, value in measured(evaluation).items()):
        raise RecordsError(
            f"{path} is not what evaluate wrote: its numbers are not its artifact's. {again('evaluate')}"
        )
    right = [label == answer for label, answer in zip(evaluation["labels"], evaluation["predicted"], strict=True)]
    if not math.isclose(evaluation["top_1"], sum(right) / len(right)):
        raise RecordsError(
            f"{path} says that top_1 is {evaluation['top_1']}, and names {sum(right)} of {len(right)} photos right. "
            f"{again('evaluate')}"
        )


def _candidate(said: Mapping[str, Any]) -> Candidate:
    """Transfer learning's own parameters have no switch epoch, and a learning rate that is not fine-tuning's."""
    return Candidate(said["switch_epoch"], said["learning_rate"]) if said.get("switch_epoch") else Candidate()


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
