"""Choose what `better` fine-tunes with, by cross-validation on Food-101's training photos. No test photo is read.

    python -m bench.better ../shared/data/food101-mini

Each fold is a dataset of its own in Food-101's layout: two thirds of the training photos to train on, the other third
where the test split would be. So the project's own steps run as they are, choosing epochs on validation photos that
prepare cuts from the two thirds. First the learning rates compete, then each further idea on the best of them. Every
result is appended to a file, so a killed run goes on where it was.
"""

import argparse
import dataclasses
import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench.better.candidates import IDEAS, LEARNING_RATES, Candidate, Settings
from bench.better.cells import FILE, Results
from bench.better.folds import write_folds
from bench.better.report import best_of, markdown, table
from bench.better.trainings import records_of, run
from bench.prepared import prepare_records


def arguments() -> argparse.Namespace:
    """What the command was given."""
    parser = argparse.ArgumentParser(prog="python -m bench.better", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset", type=Path, help="Food-101's folder, or one like it: images/, meta/")
    parser.add_argument("--output", type=Path, default=Path("build/better"))
    parser.add_argument("--switch-epochs", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--transfer-epochs", type=int, default=8)
    parser.add_argument("--finetune-epochs", type=int, default=4)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    return parser.parse_args()


def main() -> None:
    given = arguments()
    settings = Settings(
        switch_epochs=tuple(given.switch_epochs),
        transfer_epochs=given.transfer_epochs,
        finetune_epochs=given.finetune_epochs,
        image_size=given.image_size,
        batch_size=given.batch_size,
        seeds=tuple(given.seeds),
    )
    for fold, folder in enumerate(write_folds(given.dataset, given.output), start=1):
        records = records_of(given.output, fold, settings)
        if not records.exists():
            prepare_records(folder, records, image_size=settings.image_size, seed=0)
    search(given.output, settings)


def search(directory: Path, settings: Settings) -> None:
    """Let the learning rates compete, then the ideas; write the table after each idea, print it at the end."""
    # A process a candidate: TensorFlow keeps about 150 MB of each training.
    processes = ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)
    for tried in LEARNING_RATES:
        processes.submit(run, tried, directory, settings).result()
    base: Candidate = best_of(Results(directory / FILE, settings), LEARNING_RATES, settings)
    ideas = [dataclasses.replace(base, **idea) for idea in IDEAS]
    for tried in ideas:
        processes.submit(run, tried, directory, settings).result()
        rows = table(Results(directory / FILE, settings), LEARNING_RATES + ideas, base, settings)
        summary = {"settings": dataclasses.asdict(settings), "cores": os.cpu_count(), "base": str(base), "rows": rows}
        Path(f"{directory}.json").write_text(json.dumps(summary, indent=1))
    print(markdown(rows, base, settings))


if __name__ == "__main__":
    main()
