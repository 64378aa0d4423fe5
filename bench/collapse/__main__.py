"""Why the lab's fine-tuning collapsed: its labels, the same with the harmful rows masked, and right labels.

    python -m bench.collapse ../shared/data/food101-mini --siblings ../shared/data/siblings.csv

Writes build/collapse.json and the pictures of docs/why-the-lab-collapsed.md. It trains without TensorFlow's op
determinism, as the lab did and the project's steps do not: with it the fault does no harm (see `gradients`).
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

from bench.collapse.gradients import gradients
from bench.collapse.labels import LABELS
from bench.collapse.pictures import draw_curves, draw_siblings
from bench.collapse.training import Row, Settings, train
from bench.prepared import prepare_records


def arguments() -> argparse.Namespace:
    """What the command was given."""
    parser = argparse.ArgumentParser(prog="python -m bench.collapse", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset", type=Path, help="any dataset that `switchpoint run` reads")
    parser.add_argument("--siblings", type=Path, help="siblings.csv, to redraw their curves")
    parser.add_argument("--output", type=Path, default=Path("build/collapse"))
    parser.add_argument("--pictures", type=Path, default=Path("docs"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--transfer-epochs", type=int, default=4)
    parser.add_argument("--finetune-epochs", type=int, default=6)
    parser.add_argument("--transfer-learning-rate", type=float, default=1e-3)
    parser.add_argument("--finetune-learning-rate", type=float, default=1e-5)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    if given.siblings:
        draw_siblings(given.siblings, given.pictures / "siblings.svg")
    given.output.mkdir(parents=True, exist_ok=True)
    records = given.output / f"records-{given.image_size}"
    prepare_records(given.dataset, records, image_size=given.image_size, validation_fraction=0.2, seed=0)
    settings = Settings(**{field.name: getattr(given, field.name) for field in dataclasses.fields(Settings)})
    rows = trainings(records, given.output / "runs.jsonl", given.seeds, settings)
    draw_curves(rows, given.pictures / "why-the-lab-collapsed.svg")
    found = gradients()
    summary = {"settings": dataclasses.asdict(settings), "seeds": given.seeds, "rows": rows, "gradients": found}
    Path(f"{given.output}.json").write_text(json.dumps(summary, indent=1))
    for way, values in found.items():
        print(f"all-zero row, {way}: " + "  ".join(f"{name} {value:.3f}" for name, value in values.items()))


def trainings(records: Path, file: Path, seeds: list[int], settings: Settings) -> list[Row]:
    """All epochs of all trainings; each one is appended to `file`, so that a killed experiment goes on where it was."""
    shared = dataclasses.asdict(settings)
    kept = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(run["labels"], run["seed"]): run for run in kept if run["settings"] == shared}
    for seed in seeds:
        for labels in LABELS:
            if (labels, seed) in done:
                continue
            started = time.monotonic()
            rows = train(records, labels, seed, settings)
            taken = round(time.monotonic() - started, 1)
            run = {"labels": labels, "seed": seed, "settings": shared, "rows": rows, "seconds": taken}
            with file.open("a") as opened:
                opened.write(json.dumps(run) + "\n")
            done[labels, seed] = run
    return [row for (_, seed), run in done.items() if seed in seeds for row in run["rows"]]


if __name__ == "__main__":
    main()
