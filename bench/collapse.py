"""Why the lab's fine-tuning collapsed: its labels, the same with the harmful rows masked, and right labels.

    python -m bench.collapse ../shared/data/food101-mini --siblings ../shared/data/siblings.csv

Writes build/collapse.json and the pictures of docs/why-the-lab-collapsed.md. It trains without TensorFlow's op
determinism, as the lab did and the project's steps do not: with it the fault does no harm (see `gradients`).
"""

import argparse
import csv
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from components.report.charts import COLOURS, RULE, TEXT

Row = dict[str, Any]

# The three trainings in the order they run: the colour's number, the line, what the legend says.
LABELS = {
    "right": (1, "-", "right labels"),
    "masked": (3, "--", "one too high, all-zero rows masked"),
    "fault": (2, "-", "one too high, as in the lab"),
}


def one_too_high(one_hot: Any) -> Any:
    """Labels 1 to classes, encoded with depth = classes: (batch, classes); the last class gets an all-zero row."""
    import tensorflow as tf

    return tf.pad(one_hot[:, :-1], [[0, 0], [1, 0]])


def relabel(images: Any, one_hot: Any, labels: str) -> tuple[Any, Any, Any]:
    """A batch with the labels named, and each photo's weight in the loss: 0 for the rows that are masked, else 1."""
    import tensorflow as tf

    if labels != "right":
        one_hot = one_too_high(one_hot)
    ones = tf.ones(tf.shape(one_hot)[0])
    return images, one_hot, tf.reduce_sum(one_hot, axis=1) if labels == "masked" else ones


def gradients() -> dict[str, dict[str, float]]:
    """What Keras trains on for one photo whose row is all zeros, in three ways to run the same model.

    Leaves op determinism switched on: call it last, or in a process of its own.

    Returns:
        For each way the loss, the sum of |∂L/∂logits| and the sum of ∂L/∂logits, read from a step of gradient descent.
    """
    import keras
    import tensorflow as tf

    def one_step(**options: Any) -> dict[str, float]:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, activation="softmax")])
        model.compile(keras.optimizers.SGD(1.0), "categorical_crossentropy", **options)
        loss = model.train_on_batch(np.ones((1, 4), "float32"), np.zeros((1, 5), "float32"))
        bias = model.layers[0].bias.numpy()  # it began at 0, and its gradient is that of the logits
        return {"loss": float(loss), "absolute": float(np.abs(bias).sum()), "sum": float(-bias.sum())}

    found = {"compiled": one_step(), "eager": one_step(run_eagerly=True)}
    tf.config.experimental.enable_op_determinism()
    return found | {"compiled, op determinism": one_step()}


def train(records: Path, labels: str, seed: int, given: argparse.Namespace) -> list[Row]:
    """Transfer learning, then fine-tuning at a constant rate, as the lab did; photos and their order depend on `seed`.

    Returns:
        A row an epoch: phase, epoch, Keras' own loss and accuracy on the training photos; and on the validation photos
        whose row is not all zeros (right labels: on all) loss in nats and accuracy, on all of them the mean logsumexp
        of the logits in nats.
    """
    import keras

    from switchpoint.training import loop as training
    from switchpoint.training.backbones.blocks import freeze, unfreeze
    from switchpoint.training.backbones.build import build
    from switchpoint.training.backbones.table import LITE0, named
    from switchpoint.training.batches import plain_batches, training_batches

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    backbone = build(LITE0, "imagenet", given.image_size)
    head = training.head(backbone, len(json.loads((records / "manifest.json").read_text())["classes"]), 0.2)
    model = training.join(backbone, head)
    pool, classes = head.get_layer("pool"), head.get_layer("classes")
    pooled = keras.Model(model.input, pool(backbone(model.input)))
    images, one_hot = (np.concatenate(part) for part in zip(*plain_batches(records, "validation", 64), strict=True))
    targets = np.asarray(relabel(images, one_hot, labels)[1])
    rows: list[Row] = []

    def measure(phase: str, epoch: int, logs: Row) -> None:
        logits = pooled.predict(images, batch_size=64, verbose=0) @ classes.kernel.numpy() + classes.bias.numpy()
        highest = logits.max(axis=1)
        logsumexp = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
        known = targets.sum(axis=1) > 0
        row = {
            "labels": labels,
            "seed": seed,
            "phase": phase,
            "epoch": epoch,
            "train_loss": logs["loss"],
            "train_accuracy": logs["categorical_accuracy"],
            "validation_loss": float((logsumexp - (logits * targets).sum(axis=1))[known].mean()),
            "validation_accuracy": float((logits.argmax(axis=1) == targets.argmax(axis=1))[known].mean()),
            "logsumexp": float(logsumexp.mean()),
        }
        rows.append(row)
        print("  ".join(f"{key} {value:.3f}" if isinstance(value, float) else f"{value}" for key, value in row.items()))

    for phase, epochs, rate in (
        ("transfer", given.transfer_epochs, given.transfer_learning_rate),
        ("finetune", given.finetune_epochs, given.finetune_learning_rate),
    ):
        if phase == "transfer":
            freeze(backbone)
        else:
            unfreeze(backbone, named(LITE0).block_pattern)
        training.compile_model(model, rate, 0.0)
        batches = training_batches(records, given.batch_size, 0.04, seed + (phase == "finetune"), epochs)
        watch = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, phase=phase: measure(phase, epoch + 1, logs)
        )
        steps = training.steps_per_epoch(given.photos, given.batch_size)
        model.fit(
            batches.map(lambda images, one_hot: relabel(images, one_hot, labels)),
            epochs=epochs,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[watch],
        )
    return rows


def _picture(file: Path, titles: list[str], x: str, plot: Callable[[Any, int], None]) -> None:
    """Panels two in a row, one legend, as an SVG whose colours follow the reader's light or dark theme.

    Args:
        file: To write.
        titles: Of each panel.
        x: What all panels' horizontal axes are.
        plot: Draws into the axes of the panel with the number given, in `_colour`s.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": file.stem, "font.size": 11, "axes.edgecolor": RULE}
    style |= {f"{part}.color": TEXT for part in ("text", "xtick", "ytick")} | {"axes.labelcolor": TEXT}
    file.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(style):
        figure = Figure(figsize=(9.4, 3.4 * len(titles) / 2), layout="constrained")
        panels = figure.subplots(len(titles) // 2, 2, squeeze=False).flatten()
        for number, (axes, title) in enumerate(zip(panels, titles, strict=True)):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color=RULE, linewidth=0.6)
            axes.set_title(title, fontsize=11, loc="left")
            axes.set_xlabel(x)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            plot(axes, number)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
        figure.savefig(file, transparent=True, metadata={"Date": None})
    svg = re.sub(r"#0a0b([0-9a-f]{2})", lambda match: f"var(--s{int(match[1], 16)})", file.read_text())
    themes = []
    for place, (text, rule) in enumerate((("#1f2328", "#c8ccd1"), ("#e6edf3", "#4a5059"))):
        colours = "".join(f"--s{number}:{pair[place]};" for number, pair in enumerate(COLOURS))
        themes.append(f":root{{{colours}--text:{text};--rule:{rule}}}")
    svg = svg.replace(TEXT, "var(--text)").replace(RULE, "var(--rule)")
    css = f"<style>{themes[0]}@media (prefers-color-scheme:dark){{{themes[1]}}}</style>"
    svg = re.sub(r"(<svg[^>]*>)", rf"\1{css}", svg, count=1)
    file.write_text("".join(f"{line.rstrip()}\n" for line in svg.splitlines()))


def _colour(number: int) -> str:
    """What `_picture` replaces by the theme's colour of that number."""
    return f"#0a0b{number:02x}"


def draw_curves(rows: list[Row], file: Path) -> None:
    """Each seed as a thin line, their median thick; fine-tuning starts at 0."""
    measures = {
        "train_loss": "loss, training photos (nats, as Keras prints it)",
        "validation_loss": "loss, validation photos with a label (nats)",
        "validation_accuracy": "accuracy, validation photos with a label (%)",
        "logsumexp": "mean logsumexp of the logits, validation (nats)",
    }
    last = max(row["epoch"] for row in rows if row["phase"] == "transfer")

    def plot(axes: Any, panel: int) -> None:
        measure = list(measures)[panel]
        for labels, (number, line, legend) in LABELS.items():
            by_seed: dict[int, list[tuple[int, float]]] = defaultdict(list)
            for row in rows:
                if row["labels"] == labels:
                    x = row["epoch"] - last if row["phase"] == "transfer" else row["epoch"]
                    by_seed[row["seed"]].append((x, row[measure] * (100 if "accuracy" in measure else 1)))
            curves = np.array(list(by_seed.values()))
            for curve in curves:
                axes.plot(*curve.T, line, color=_colour(number), linewidth=0.8, alpha=0.6)
            median = np.median(curves[:, :, 1], axis=0)
            axes.plot(curves[0, :, 0], median, line, color=_colour(number), linewidth=2.2, label=legend)
        axes.axvline(0, color=TEXT, linewidth=0.8, linestyle=":")

    _picture(file, list(measures.values()), "epoch of fine-tuning (up to 0: transfer learning)", plot)


def draw_siblings(table: Path, file: Path) -> None:
    """Fine-tuning of those who ran the lab too, on validation photos.

    Args:
        table: CSV with the columns run, setting, phase, split, metric, epoch, value.
        file: SVG to write.
    """
    styles = {"1e-6": (2, "-"), "1e-7": (1, "--"), "1e-8": (3, ":")}
    metrics = {"loss": "validation loss (nats)", "categorical_accuracy": "validation accuracy (%)"}
    curves: dict[tuple[str, str, str], list[tuple[int, float]]] = defaultdict(list)
    with table.open(newline="") as opened:
        for row in csv.DictReader(opened):
            rate = re.search("1e-[678]", row["setting"])
            # D normalised its photos twice: another fault than the one at issue.
            if rate and row["phase"] == "finetune" and row["split"] == "validation" and row["run"][0] != "D":
                curves[row["metric"], rate[0], row["run"]].append((int(row["epoch"]), float(row["value"])))

    def plot(axes: Any, panel: int) -> None:
        named = set()
        for (metric, rate, _), points in sorted(curves.items()):
            if metric == list(metrics)[panel]:
                (number, line), (x, y) = styles[rate], np.array(sorted(points)).T
                label = None if rate in named else f"learning rate {rate}"
                named.add(rate)
                axes.plot(x, y * (100 if panel else 1), line, color=_colour(number), linewidth=1.6, label=label)

    _picture(file, list(metrics.values()), "epoch of fine-tuning", plot)


def main() -> None:
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
    given = parser.parse_args()
    if given.siblings:
        draw_siblings(given.siblings, given.pictures / "siblings.svg")

    from components.prepare.step import PrepareConfig, prepare

    given.output.mkdir(parents=True, exist_ok=True)
    records = given.output / f"records-{given.image_size}"
    config = PrepareConfig(str(given.dataset), image_size=given.image_size, validation_fraction=0.2)
    manifest = prepare(records, given.output / "look.html", given.output / "source.json", config)
    given.photos = manifest["splits"]["train"]["photos"]
    settings = {name: value for name, value in vars(given).items() if not isinstance(value, Path)}
    for name in ("seeds", "siblings"):
        settings.pop(name, None)
    # Every run is appended, so that a killed experiment goes on where it was.
    file = given.output / "runs.jsonl"
    kept = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(run["labels"], run["seed"]): run for run in kept if run["settings"] == settings}
    for seed in given.seeds:
        for labels in LABELS:
            if (labels, seed) not in done:
                started = time.monotonic()
                run = {
                    "labels": labels,
                    "seed": seed,
                    "settings": settings,
                    "rows": train(records, labels, seed, given),
                }
                run["seconds"] = round(time.monotonic() - started, 1)
                with file.open("a") as opened:
                    opened.write(json.dumps(run) + "\n")
                done[labels, seed] = run
    rows = [row for (_, seed), run in done.items() if seed in given.seeds for row in run["rows"]]
    draw_curves(rows, given.pictures / "why-the-lab-collapsed.svg")
    found = gradients()
    Path(f"{given.output}.json").write_text(
        json.dumps({"settings": settings, "seeds": given.seeds, "rows": rows, "gradients": found}, indent=1)
    )
    for way, values in found.items():
        print(f"all-zero row, {way}: " + "  ".join(f"{name} {value:.3f}" for name, value in values.items()))


if __name__ == "__main__":
    main()
