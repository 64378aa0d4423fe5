"""Choose what `better` fine-tunes with, by cross-validation on Food-101's training photos. No test photo is read.

    python -m bench.better ../shared/data/food101-mini

Each fold is a dataset of its own in Food-101's layout: two thirds of the training photos to train on, the other third
where the test split would be. So the project's own steps run as they are, choosing epochs on validation photos that
prepare cuts from the two thirds. First the learning rates compete, then each further idea on the best of them. With
`--unbalanced`, classes have unequal numbers of photos to train on, and class weights compete with none. Every result is
appended to a file, so a killed run goes on where it was.
"""

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from bench.better.candidates import IDEAS, LEARNING_RATES, UNBALANCED, Candidate, Settings
from bench.better.cells import FILE, Results
from bench.better.folds import write_folds
from bench.better.report import best_of, markdown, table
from bench.better.trainings import PROCESSES, records_of, train
from bench.prepared import prepare_records


def arguments() -> argparse.Namespace:
    """What the command was given."""
    parser = argparse.ArgumentParser(prog="python -m bench.better", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset", type=Path, help="Food-101's folder, or one like it: images/, meta/")
    parser.add_argument("--output", type=Path, default=Path("build/better"))
    parser.add_argument("--unbalanced", action="store_true", help="compare class weights, in a folder of its own")
    for field in dataclasses.fields(Settings):
        several = "+" if isinstance(field.default, tuple) else None
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=int, nargs=several, default=field.default)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        value = getattr(given, field.name)
        values[field.name] = tuple(value) if isinstance(value, list) else value
    settings = Settings(**values)
    directory = given.output / "unbalanced" if given.unbalanced else given.output
    for fold, folder in enumerate(write_folds(given.dataset, directory, given.unbalanced), start=1):
        records = records_of(directory, fold, settings)
        if not records.exists():
            prepare_records(folder, records, image_size=settings.image_size, seed=0)
    if given.unbalanced:
        compete(UNBALANCED, UNBALANCED[0], directory, settings)
    else:
        search(directory, settings)


def search(directory: Path, settings: Settings) -> None:
    """Let the learning rates compete, then the ideas on the best of them."""
    for tried in LEARNING_RATES:
        train(tried, directory, settings)
    base = best_of(Results(directory / FILE, settings), LEARNING_RATES, settings)
    compete(LEARNING_RATES + [dataclasses.replace(base, **idea) for idea in IDEAS], base, directory, settings)


def compete(candidates: list[Candidate], base: Candidate, directory: Path, settings: Settings) -> None:
    """Train all of them; write the table after each, those that have none yet left out, and print it at the end."""
    for tried in candidates:
        train(tried, directory, settings)
        rows = table(Results(directory / FILE, settings), candidates, base, settings)
        surroundings = {"cores": os.cpu_count(), "processes": PROCESSES}
        summary = {"settings": dataclasses.asdict(settings), **surroundings, "base": str(base), "rows": rows}
        Path(f"{directory}.json").write_text(json.dumps(summary, indent=1))
    print(markdown(rows, base, settings))


if __name__ == "__main__":
    main()
