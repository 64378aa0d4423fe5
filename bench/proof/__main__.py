"""`python -m bench.proof`: what intervals cover, rules of choice lose, draws gain, halving costs; copies, drift."""

from pathlib import Path

import click

from bench.proof import choice, coverage, draws, drift, duplicates, labels, search


@click.command()
@click.option(
    "--only",
    type=click.Choice(["coverage", "choice", "draws", "drift", "duplicates", "labels", "search"]),
    help="By default all.",
)
@click.option("--draws", "number", type=int, help="Of each row's test sets (2000 by default), or data sets (24).")
@click.option("--seeds", default=1, show_default=True, help="Trainings of each start, for choice.")
@click.option("--photos", type=Path, default=Path("../shared/data"), show_default=True, help="Food-101's folders.")
@click.option("--output", type=Path, default=Path("build/proof"), show_default=True, help="Where outcomes are kept.")
def main(only: str | None, number: int | None, seeds: int, photos: Path, output: Path) -> None:
    """Show that what the report claims holds where the truth is known."""
    if only in (None, "coverage"):
        click.echo(coverage.run(number or 2000))
    if only in (None, "choice"):
        click.echo(choice.run(number or 24, seeds, photos, output))
    if only in (None, "draws"):
        click.echo(draws.table(draws.measure(photos / "food101-mini", output / "draws")))
    if only in (None, "labels"):
        click.echo(labels.run(photos, output / "labels"))
    if only in (None, "search"):
        click.echo(search.run(photos, output / "search"))
    if only in (None, "duplicates"):
        click.echo(duplicates.run(photos))
    if only in (None, "drift"):
        click.echo(drift.table(drift.run(photos, output, number or drift.DRAWS)))


if __name__ == "__main__":
    main()
