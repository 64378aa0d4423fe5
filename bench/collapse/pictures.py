"""The pictures of docs/why-the-lab-collapsed.md."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bench.collapse.labels import LABELS
from components.report.charts import COLOURS, RULE, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.collapse.training import Row


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
    file.write_text("".join(f"{line.rstrip()}\n" for line in _themed(file.read_text()).splitlines()))


def _themed(svg: str) -> str:
    """A drawing with variables for its colours, which are the light theme's or the dark one's."""
    svg = re.sub(r"#0a0b([0-9a-f]{2})", lambda match: f"var(--s{int(match[1], 16)})", svg)
    themes = []
    for theme, (text, rule) in enumerate((("#1f2328", "#c8ccd1"), ("#e6edf3", "#4a5059"))):
        colours = "".join(f"--s{number}:{pair[theme]};" for number, pair in enumerate(COLOURS))
        themes.append(f":root{{{colours}--text:{text};--rule:{rule}}}")
    svg = svg.replace(TEXT, "var(--text)").replace(RULE, "var(--rule)")
    css = f"<style>{themes[0]}@media (prefers-color-scheme:dark){{{themes[1]}}}</style>"
    return re.sub(r"(<svg[^>]*>)", rf"\1{css}", svg, count=1)


def _colour(number: int) -> str:
    """What `_themed` replaces by the theme's colour of that number."""
    return f"#0a0b{number:02x}"


def draw_curves(rows: list[Row], file: Path) -> None:
    """Each seed as a thin line, their median thick; fine-tuning starts at 0."""
    measures: dict[Literal["train_loss", "validation_loss", "validation_accuracy", "logsumexp"], str] = {
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
