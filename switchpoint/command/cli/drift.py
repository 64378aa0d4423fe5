"""The command that asks whether new photos look like those that a model was trained for."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from switchpoint.command.cli.flags import LocalPath, as_json, no_host, runs_dir

if TYPE_CHECKING:
    from switchpoint.command.documents import Drift

SHOWN = 3  # exit code where drift is shown


@click.command()
@click.argument("model", metavar="RUN|MODEL")
@click.argument("folder", metavar="FOLDER|gs://…|s3://…")
@click.option(
    "--photos",
    "most",
    type=click.IntRange(20, 10_000),
    default=2000,
    show_default=True,
    help="Look at so many.",
)
@click.option(
    "--html",
    type=LocalPath(dir_okay=False),
    default="drift.html",
    show_default=True,
    help="The page, with the most unusual photos.",
)
@runs_dir
@no_host("It compares with what a run of this machine held out.")
@as_json
def drift(model: str, folder: str, most: int, html: Path, runs_dir: Path, as_json: bool) -> None:
    """Compare new photos with those that a run held out from training: are they of another kind?

    Exit code 3 when drift is shown: when they look otherwise than chance allows in 99 of 100 cases.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported, which else says what it can
    from switchpoint.command.drift import page, seen, study
    from switchpoint.files import write_text

    made = seen.made(model, runs_dir)
    _enough("held-out", len(made.reference.features), study.FEWEST)
    with seen.fetched(folder) as place:
        new, unreadable, images = seen.see(made, seen.chosen(place, most))
        names = {photo: _name(photo, place) for photo in (*images, *unreadable)}
    _enough("new", len(new.photos), study.FEWEST)
    found = study.compare(made.reference, new._replace(photos=[names[photo] for photo in new.photos]))
    found["unreadable"] = [{"photo": names[photo], "reason": reason} for photo, reason in unreadable.items()]
    write_text(html, page.html(found, folder, {names[photo]: image for photo, image in images.items()}))
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _show(found, html)
    if found["drift"]:
        sys.exit(SHOWN)


def _name(photo: str, place: str) -> str:
    return Path(photo).name if photo == place else os.path.relpath(photo, place)


def _enough(which: str, count: int, fewest: int) -> None:
    from switchpoint.command.errors import NoPhotosError

    if count < fewest:
        raise NoPhotosError(f"{count} {which} photos are too few to tell a change from chance: {fewest} or more.")


def _show(found: Drift, html: Path) -> None:
    from switchpoint.command.drift import words

    click.echo(words.sentence(found))
    for line in words.evidence(found):
        click.echo(f"  {line}")
    if found["unreadable"]:
        click.echo(f"{len(found['unreadable'])} photos can't be read; the page names them.")
    click.echo(f"Page: {html}")
