"""The command that looks at a dataset."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from switchpoint.command import parameters as pipeline_parameters
from switchpoint.command.cli.flags import LocalPath, ParameterType, as_json, given
from switchpoint.command.cli.texts import plain

if TYPE_CHECKING:
    from pathlib import Path

    from switchpoint.command.documents import Checked
    from switchpoint.documents.lineage import Parameters
    from switchpoint.progress import Progress

DECIDE = 3  # the exit code when something needs a decision
NAMED = 20  # groups of copies of a kind that the terminal names


@click.command()
@click.argument("dataset")
@click.option("--validation-fraction", type=ParameterType("validation_fraction"), help="As `run` has it.")
@click.option("--max-left-out", type=ParameterType("max_left_out"), help="As `run` has it.")
@click.option("--seed", type=ParameterType("seed"), help="As `run` has it.")
@click.option(
    "--html", type=LocalPath(dir_okay=False), help="Write a page, too: copies side by side, and the classes' sizes."
)
@as_json
def check(dataset: str, html: Path | None, as_json: bool, **flags: Any) -> None:
    """Look at a dataset before hours are spent on it: classes, split, unreadable photos, copies. Trains nothing.

    Exit code 3 when something needs a decision: a photo is in more than one of train, validation and test, or in more
    than one class; more photos can't be read than --max-left-out allows; a class has no photo in one of the splits.
    """
    values = pipeline_parameters.resolve("better", {"dataset": dataset, **given(flags)})
    pipeline_parameters.check_addresses(values)
    found = _watched(values, html)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        for line in _lines(found, values):
            click.echo(plain(line))
        if html:
            click.echo(f"Page: {html}")
    if found["decide"]:
        sys.exit(DECIDE)


def _watched(values: Parameters, html: Path | None) -> Checked:
    """What is found; on a terminal with a bar that shows how far it is."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    from switchpoint.command.check import check

    output = Console(stderr=True)
    if not output.is_terminal:
        return check(values, lambda _: None, html)
    with Bar(console=output, transient=True) as bar:
        task = bar.add_task("photos", total=None)

        def tell(said: Progress) -> None:
            bar.update(task, completed=said.done, total=said.total)

        return check(values, tell, html)


def _lines(found: Checked, values: Parameters) -> list[str]:
    """What a person reads."""
    from switchpoint.command.check import KINDS, by_kind, by_reason, copies_are, first, origin

    lines = [f"{found['dataset']}: {len(found['classes']):,} classes, {found['photos']:,} photos"]
    for split, size in found["splits"].items():
        lines.append(f"{split:<11} {size['photos']:>9,}  {origin(split, size['from'], values)}")
    lines.append("Smallest classes: " + ", ".join(f"{row['class']} {row['photos']:,}" for row in found["smallest"]))
    lines += [f"{note[0].upper()}{note[1:]}." for note in found["notes"]]
    for reason, photos in by_reason(found["left_out"]).items():
        lines.append(f"{len(photos):,} can't be read: {reason}: {first(photos)}")
    for kind, entries in by_kind(found["duplicates"]).items():
        lines.append(f"{copies_are(entries)} {KINDS[kind]} (= same bytes, ~ looks the same):")
        for entry in entries[:NAMED]:
            lines.append("  " + (" = " if entry["exact"] else " ~ ").join(entry["photos"]))
        if len(entries) > NAMED:
            lines.append(f"  … and {len(entries) - NAMED:,} more; --json names all")
    if not found["decide"]:
        return [*lines, "Nothing needs a decision."]
    return [*lines, "To be decided:", *(f"  {sentence}" for sentence in found["decide"])]
