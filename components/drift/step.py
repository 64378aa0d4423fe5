"""Drift: do the photos at an address look like those that training held out?

It is never cached: what lies there changes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from switchpoint.config import Config
from switchpoint.drift import comparison, words
from switchpoint.drift.seen import Made
from switchpoint.errors import NoPhotosError, StorageError
from switchpoint.files import write_json, write_text
from switchpoint.pages import document
from switchpoint.progress import say
from switchpoint.training import reference as references

if TYPE_CHECKING:
    from pathlib import Path

    from switchpoint.documents.drift import NewPhotos


@dataclass(frozen=True)
class DriftConfig(Config):
    """What is compared.

    Attributes:
        photos: Address of the new photos: a folder, gs://… or s3://…
    """

    photos: str


class Outputs(NamedTuple):
    """What to write.

    Attributes:
        comparison: JSON: a `documents.NewPhotos`.
        page: The answer, and the most unusual photos.
    """

    comparison: Path
    page: Path


def drift(reference: Path, model: Path, outputs: Outputs, config: DriftConfig) -> NewPhotos:
    """Compare the new photos with the reference; where they can't be had, or are too few, say so.

    That is no failure: the first step has seen that the place can be read, and photos come and go where they arrive.

    Args:
        reference: What transfer wrote of held-out photos.
        model: Its model's file.
        outputs: What to write.
        config: Which photos.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    outputs.page.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = comparison.compare(Made(model, references.read(reference)), config.photos, outputs.page)
    except (NoPhotosError, StorageError) as error:
        sentence = f"The photos at {config.photos} were not compared: {error}"
        compared: NewPhotos = {"photos": config.photos, "drift": None, "sentence": sentence}
        write_text(outputs.page, document("Switchpoint: drift", f"<h1>{escape(compared['sentence'])}</h1>"))
    else:
        compared = {"photos": config.photos, "drift": found, "sentence": words.sentence(found)}
    say("drift", compared["sentence"])
    write_json(outputs.comparison, compared)
    return compared
