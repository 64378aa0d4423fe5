"""Whether training on records costs accuracy: heads on features of the same views, from other pixels.

    python -m bench.pixels ../shared/data/food101-mini

With a frozen network, transfer learning is training a head on features. So crops, flips and rotations are drawn once
for each (seed, view, photo), and every source of pixels gives its own features of the same views; heads then start from
the same weights, see the photos in the same order and drop the same features. What is left of a difference is the
pixels'. Each head is tested on every source. Results are appended to a file, so a killed run goes on where it was.
"""

import argparse
import dataclasses
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.pixels.cells import Cells
from bench.pixels.heads import Given, answers, train
from bench.pixels.photos import Network, Sizes, Split, originals, pixels
from bench.pixels.report import by_chance, changes, crossed, markdown, tests
from bench.pixels.sources import LAB, OURS, SOURCES, Pixels, Source
from bench.prepared import LAB as RECIPE
from bench.prepared import TRANSFER_SIZE, prepare_records


@dataclass(frozen=True)
class Settings:
    """How all of them are trained; `photos` are the first ones of each split (0: all)."""

    image_size: int
    views: int
    epochs: int
    photos: int


def arguments() -> argparse.Namespace:
    """What the command was given."""
    parser = argparse.ArgumentParser(prog="python -m bench.pixels", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset", type=Path, help="any dataset that `switchpoint run` reads")
    parser.add_argument("--output", type=Path, default=Path("build/pixels"))
    words = f"train on these, too, beside {LAB} and {OURS}: {', '.join(SOURCES)}; all are tested on"
    parser.add_argument("--sources", nargs="+", default=[], choices=list(SOURCES), metavar="NAME", help=words)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 11)))
    parser.add_argument("--image-size", type=int, default=TRANSFER_SIZE)
    parser.add_argument("--views", type=int, default=4, help="of each training photo, shown in turns")
    parser.add_argument("--epochs", type=int, default=RECIPE["transfer_epochs"])
    parser.add_argument("--photos", type=int, default=0, help="of each split, to try it out; 0: all")
    return parser.parse_args()


def main() -> None:
    given, start = arguments(), time.monotonic()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sources = [name for name in SOURCES if name in {*given.sources, LAB, OURS}]
    settings = Settings(given.image_size, given.views, given.epochs, given.photos)
    given.output.mkdir(parents=True, exist_ok=True)
    records = given.output / f"records-{settings.image_size}"
    prepare_records(given.dataset, records, image_size=settings.image_size, seed=1)
    cells = Cells(given.output / "cells.jsonl", dataclasses.asdict(settings))
    experiment(given.dataset, records, cells, settings, sources, given.seeds)
    text = report(cells, given.seeds)
    minutes = (time.monotonic() - start) / 60
    Path(f"{given.output}.md").write_text(text)
    print(f"{text}\n{minutes:.1f} minutes, {os.cpu_count()} cores. Written to {given.output}.md")


def experiment(
    photos: Path, records: Path, cells: Cells, settings: Settings, sources: list[str], seeds: list[int]
) -> None:
    """Train what `cells` lack: of a source all seeds, for its pixels take memory."""
    splits, sizes = originals(photos, records)
    if settings.photos:
        splits = {
            name: Split(split.files[: settings.photos], split.labels[: settings.photos])
            for name, split in splits.items()
        }
    network = Network(sizes.crop)
    shown = {name: network.centre(pixels(source, splits["test"], sizes)) for name, source in SOURCES.items()}
    for name in sources:
        wanted = [seed for seed in seeds if not cells.has(seed, name, SOURCES)]
        for seed, kernel, bias in trained(network, SOURCES[name], splits, sizes, wanted, settings):
            said = {each: answers(kernel, bias, features, splits["test"].labels) for each, features in shown.items()}
            cells.add(seed, name, said)
            print(f"{name}  seed {seed}  accuracy {np.mean(said[name]['correct']):.4f}", flush=True)


def trained(
    network: Network, source: Source, splits: dict[str, Split], sizes: Sizes, seeds: list[int], settings: Settings
) -> Iterator[tuple[int, Pixels, Pixels]]:
    """Heads of one source, a seed after the other."""
    import tensorflow as tf

    from switchpoint.training.augmentation import draws
    from switchpoint.training.streams import stream

    if not seeds:
        return
    whole, labels = pixels(source, splits["train"], sizes), splits["train"].labels
    held_out = network.centre(pixels(source, splits["validation"], sizes))
    for seed in seeds:
        own = stream(seed, "transfer")
        drawn = (draws(own, tf.constant(view, tf.int64), len(whole)).numpy() for view in range(1, settings.views + 1))
        views = np.stack([network.view(whole, each, source.keras_rotation) for each in drawn])
        seen = Given(views, labels, held_out, splits["validation"].labels, own)
        yield seed, *train(network.backbone, seen, settings.epochs)


def report(cells: Cells, seeds: list[int]) -> str:
    """The tables, and how far apart trainings on the very same pixels lie."""
    of_lab = 100 * cells.values("correct", seeds, LAB, LAB).mean(axis=1)
    gaps = by_chance(of_lab.tolist())
    chance = sum(gap >= 0.8 for gap in gaps) / len(gaps)
    return "\n\n".join(
        [
            markdown(crossed(cells, seeds), "our records for the lab's pixels"),
            markdown(tests(cells, seeds, LAB), "what differs in testing; trained on the lab's pixels"),
            markdown(tests(cells, seeds, OURS), "what differs in testing; trained on our records"),
            markdown(changes(cells, seeds), "what differs in training and testing"),
            f"On the lab's pixels: {of_lab.mean():.2f} % on average, seeds {of_lab.min():.2f} to {of_lab.max():.2f}, "
            f"standard deviation {of_lab.std(ddof=1):.2f} points. Two halves of the seeds lie "
            f"{np.median(gaps):.2f} points apart (median), 0.8 or more for {chance:.0%} of the ways to halve them.",
        ]
    )


if __name__ == "__main__":
    main()
