"""`python -m bench.proof`: print the table of what the report's intervals cover."""

import click

from bench.proof.coverage import SEEDS, Covered, covered, table


@click.command()
@click.option("--draws", default=2000, show_default=True, help="Test sets and trainings drawn for each row.")
def main(draws: int) -> None:
    """Draw from a model with known accuracies, and count how often the intervals hold them."""
    rows: list[Covered] = []
    for spread in SEEDS:
        for photos in (300, 3000):
            for seeds in (1, 2, 3, 5):
                rows.append(covered(spread, photos, seeds, draws))
                click.echo(f"{spread}, {photos} photos, {seeds} seeds: {rows[-1].each:.1%}, {rows[-1].jointly:.1%}")
    click.echo(table(rows))


if __name__ == "__main__":
    main()
