"""`python -m bench`: measure against the lab's way, print a table, write build/bench.json."""

import os
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console

from bench.comparisons import comparisons
from bench.pairs import Row, compare, process, table, write
from bench.prepared import set_up
from switchpoint.provenance.digests import ROOT

NAMES = [name for comparison in comparisons() for name in comparison.ours]


@click.command()
@click.option("--only", default="", help=f"Comparisons to run, separated by commas: {', '.join(NAMES)}.")
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    default=ROOT.parent / "shared" / "data" / "food101-mini",
    envvar="BENCH_PHOTOS",
    show_default="../shared/data/food101-mini",
    help="A folder of photos.",
)
@click.option("--repeats", type=click.IntRange(min=1), help="Runs of each way, and seeds.  [default: each row's own]")
@click.option("--output", type=click.Path(path_type=Path), default=ROOT / "build" / "bench.json")
def main(only: str, photos: Path, repeats: int | None, output: Path) -> None:
    """Run the comparisons, all or some, and write them to --output."""
    chosen = [name.strip() for name in only.split(",") if name.strip()] or NAMES
    unknown = sorted(set(chosen) - set(NAMES))
    if unknown:
        raise click.UsageError(f"--only: there is no {', '.join(unknown)}. There are: {', '.join(NAMES)}.")
    if not photos.is_dir():
        raise click.UsageError(
            f"--photos: there is no folder {photos}. Name one with photos of Food-101, or others with one sub-folder a "
            "class, with --photos or BENCH_PHOTOS."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    console, rows, start = Console(soft_wrap=True), list[Row](), time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        with process() as first:
            first.submit(set_up, photos, directory).result()
        for comparison in comparisons():
            wanted = {name: way for name, way in comparison.ours.items() if name in chosen}
            if wanted:
                asked = comparison._replace(ours=wanted, repeats=repeats or comparison.repeats)
                rows += compare(asked, directory, console.print)
                write(rows, output)
    console.width = max(console.width, 100)  # in a file it would be 80, which cuts numbers off
    console.print(table(rows))
    console.print(f"{(time.monotonic() - start) / 60:.1f} minutes. Written to {output}")


if __name__ == "__main__":
    main()
