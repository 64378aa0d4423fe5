"""The command that asks a model what is on photos."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from switchpoint.command.cli.flags import runs_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from switchpoint.command.predict import Prediction


@click.command()
@click.argument("model", metavar="MODEL|RUN")
@click.argument("photos", metavar="PHOTO|FOLDER…", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="How many classes to name.")
@click.option("--csv", "as_csv", is_flag=True, help="Rows of photo, rank, class, probability.")
@click.option("--json", "as_json", is_flag=True, help="A JSON document a line, one for each photo.")
@runs_dir
def predict(model: str, photos: tuple[str, ...], top: int, as_csv: bool, as_json: bool, runs_dir: Path) -> None:
    """Say what is on photos, by a model's file, an export of any format, or the best model of a run of this machine.

    Photos are read as training read them: upright, transparency on white. Those that can't be read are named on
    standard error; exit code 1 where that is so of all.
    """
    if as_csv and as_json:
        raise click.UsageError("Give --csv or --json, not both.")
    from switchpoint.command import formats
    from switchpoint.command import predict as predicting
    from switchpoint.command.paths import expanded
    from switchpoint.photos import files

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported, which else says what it can
    file = predicting.model_of(model, runs_dir)
    found = files(str(expanded(photo)) for photo in photos)
    show = _rows if as_csv else _documents if as_json else _table
    unreadable: list[Prediction] = []
    show(_readable(predicting.predict(formats.load(file), found, top), unreadable))
    if len(unreadable) == len(found):
        sys.exit(1)


def _readable(predictions: Iterable[Prediction], unreadable: list[Prediction]) -> Iterator[Prediction]:
    for each in predictions:
        if each.unreadable:
            click.echo(f"{each.photo} can't be read: {each.unreadable}", err=True)
            unreadable.append(each)
        else:
            yield each


def _rows(predictions: Iterable[Prediction]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(("photo", "rank", "class", "probability"))
    for each in predictions:
        writer.writerows((each.photo, rank, *guess) for rank, guess in enumerate(each.top, 1))


def _documents(predictions: Iterable[Prediction]) -> None:
    for each in predictions:
        first = each.top[0]
        document = {"photo": each.photo, "class": first.name, "probability": first.probability, "top": each.top}
        click.echo(json.dumps(document))


def _table(predictions: Iterable[Prediction]) -> None:
    from rich.table import Table
    from rich.text import Text

    from switchpoint.command.cli.console import wide

    table = Table("photo", "class", "probability", "then")
    for each in predictions:
        first, *others = each.top
        then = ", ".join(f"{guess.name} {guess.probability:.1%}" for guess in others)
        table.add_row(*map(Text, (each.photo, first.name, f"{first.probability:.1%}", then)))
    if table.row_count:
        wide().print(table)
