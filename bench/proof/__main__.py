"""`python -m bench.proof`: what the report's intervals cover, or what rules that choose a start lose."""

from pathlib import Path

import click

from bench.proof import choice, coverage


@click.command()
@click.option("--only", type=click.Choice(["coverage", "choice"]), help="By default both.")
@click.option("--draws", type=int, help="Of each row's test sets (2000 by default), or data sets (24).")
@click.option("--seeds", default=1, show_default=True, help="Trainings of each start, for choice.")
@click.option("--photos", type=Path, default=Path("../shared/data"), show_default=True, help="Food-101's folders.")
@click.option("--output", type=Path, default=Path("build/proof"), show_default=True, help="Where outcomes are kept.")
def main(only: str | None, draws: int | None, seeds: int, photos: Path, output: Path) -> None:
    """Show that what the report claims holds where the truth is known."""
    if only != "choice":
        click.echo(coverage.run(draws or 2000))
    if only != "coverage":
        click.echo(choice.run(draws or 24, seeds, photos, output))


if __name__ == "__main__":
    main()
