"""The command that looks for labels in doubt."""

from __future__ import annotations

import csv
import json
import os
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from switchpoint.command.cli.flags import LocalPath, as_json, no_host, runs_dir
from switchpoint.command.cli.texts import plain

if TYPE_CHECKING:
    from switchpoint.command.documents import LabelInDoubt

NAMED = 20  # photos that the terminal names


@click.command()
@click.argument("run", required=False)
@click.option("--html", type=LocalPath(dir_okay=False), metavar="FILE", help="Write a page with the photos, too.")
@click.option("--csv", "table", type=LocalPath(dir_okay=False), metavar="FILE", help="Write a table of all, too.")
@runs_dir
@no_host("A run on a cluster has its photos there. Run prepare and transfer learning here: switchpoint run …")
@as_json
def labels(run: str | None, html: Path | None, table: Path | None, runs_dir: Path, as_json: bool) -> None:
    """Name the photos of RUN (by default the newest) whose label a model disputes that has not seen them.

    Looks at all splits: a wrong label in the test photos makes every figure wrong. Changes nothing.
    """
    from switchpoint.command.runs import store

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported, which else says what it can
    document = store.find(runs_dir, run)
    from switchpoint.command.labels import page, seen, study
    from switchpoint.command.made import made_by
    from switchpoint.files import write_text

    photos = seen.see(document)
    probabilities = study.out_of_sample(photos.features, photos.labels, len(photos.classes))
    found = [_told(photos, probabilities, each) for each in study.doubts(probabilities, photos.labels)]
    if html:
        shown = {each["photo"] for each in found[: page.SHOWN]}
        images = seen.images(made_by(document, "prepare", "records"), shown)
        write_text(html, page.html(found, images, len(photos.names), str(document["parameters"]["dataset"])))
    if table:
        write_text(table, _csv(found))
    if as_json:
        click.echo(json.dumps({"run": document["id"], "photos": len(photos.names), "in_doubt": found}, indent=1))
        return
    _show(found, len(photos.names))
    for path in filter(None, (html, table)):
        click.echo(f"Written: {path}")


def _told(photos: Any, probabilities: Any, doubt: Any) -> LabelInDoubt:
    number, label = doubt.number, int(photos.labels[doubt.number])
    return {
        "photo": photos.names[number],
        "split": photos.splits[number],
        "label": photos.classes[label],
        "suggested": photos.classes[doubt.suggested],
        "label_probability": float(probabilities[number, label]),
        "probability": float(probabilities[number, doubt.suggested]),
    }


def _csv(found: list[LabelInDoubt]) -> str:
    file = StringIO()
    names = ("photo", "split", "label", "suggested", "label_probability", "probability")
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(cast("list[dict[str, Any]]", found))
    return file.getvalue()


def _show(found: list[LabelInDoubt], photos: int) -> None:
    from rich.table import Table
    from rich.text import Text

    from switchpoint.command.cli.console import wide

    click.echo(f"{len(found):,} of {photos:,} labels are in doubt.")
    shown = Table("photo", "label", "taken for", "split")
    for each in found[:NAMED]:
        label = f"{each['label']} {each['label_probability']:.1%}"
        cells = each["photo"], label, f"{each['suggested']} {each['probability']:.1%}", each["split"]
        shown.add_row(*(Text(plain(cell)) for cell in cells))
    if found:
        wide().print(shown)
    if len(found) > NAMED:
        click.echo(f"… and {len(found) - NAMED:,} more: --csv and --json name all, --html shows them.")
