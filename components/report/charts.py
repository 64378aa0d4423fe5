"""The report's charts: inline SVG whose colours are CSS variables, so that one picture serves light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from io import StringIO
from statistics import mean
from typing import TYPE_CHECKING, Any

from components.report.starts import over_seeds

if TYPE_CHECKING:
    from components.report.starts import Start
    from switchpoint.documents.evaluation import Bin
    from switchpoint.documents.training import Row

# Chosen so that every two differ (CIE76 > 19) for normal, protan and deutan sight and stand out from the paper (> 3:1);
# `_s0` is transfer learning. Light, dark.
COLOURS = [
    ("#5b6470", "#98a3b0"),
    ("#0072b2", "#5cb8f0"),
    ("#d66a00", "#ff8a3d"),
    ("#007a5a", "#10a884"),
    ("#a020f0", "#a267ff"),
    ("#6b3200", "#f7ee9a"),
    ("#2a1a66", "#c46a4a"),
]
# Matplotlib draws in these; `_inline` puts the CSS variables in their place.
VARIABLES = {"#010101": "text", "#020202": "rule", "#030303": "paper", "#040404": "accent", "#050505": "gap"}
TEXT, RULE, PAPER, ACCENT, GAP = VARIABLES
WIDTH, HEIGHT = 440, 275  # points, which are pixels where the page gives a chart just that much room


def palette(series: int) -> tuple[str, str]:
    """CSS variables --s0, --s1 … for transfer learning and `series` fine-tunings: (light, dark)."""
    colours = COLOURS
    if series >= len(COLOURS):
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

        steps = [number / (series - 1) for number in range(series)]
        inferno = colormaps["inferno"]
        colours = [COLOURS[0], *((to_hex(inferno(0.12 + 0.5 * x)), to_hex(inferno(0.45 + 0.55 * x))) for x in steps)]
    light, dark = ("".join(f"--s{n}:{pair[i]};" for n, pair in enumerate(colours[: series + 1])) for i in (0, 1))
    return light, dark


def _inline(svg: str, name: str, label: str) -> str:
    """Matplotlib's SVG as part of a page: ids of its own, colours from CSS, as wide as there is room."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"| height="[^"]*"(?=[^>]*viewBox)', r"\1", svg, count=2)
    svg = svg.replace("<svg", f'<svg class="chart" role="img" aria-label="{escape(label)}"', 1)
    svg = re.sub(r'( id="|url\(#|xlink:href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"#0a0b([0-9a-f]{2})", lambda match: f"var(--s{int(match[1], 16)})", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return svg


def drawn(name: str, label: str, draw: Callable[[Any], None], height: float = HEIGHT, **panels: Any) -> str:
    """What `draw` does to the axes, as SVG.

    Args:
        name: Unique in the page; the SVG's ids begin with it.
        label: For those who don't see it.
        draw: Is given one axes, or as many as `panels` says.
        height: In the units of `WIDTH`.
        panels: Of `Figure.subplots`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 13, "axes.edgecolor": RULE}
    style |= {f"{part}.color": TEXT for part in ("text", "xtick", "ytick")} | {"axes.labelcolor": TEXT}
    with rc_context(style):
        figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained", facecolor="none")
        axes = figure.subplots(**panels)
        for each in figure.axes:
            each.set_facecolor("none")
            each.spines[["top", "right", "left"]].set_visible(False)
            each.grid(axis="y", color=RULE, linewidth=1)
            each.tick_params(which="both", length=0, pad=6)
            each.set_axisbelow(True)
        draw(axes)
        text = StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return _inline(text.getvalue(), name, f"{label}: the numbers are in the table below")


def epoch_axis(axes: Any) -> None:
    """Whole epochs, from 1."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(left=0.5)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    axes.set_xlabel("Epoch")


def _measured(row: Row, metric: str, prefix: str) -> float:
    if metric == "loss":
        return row["val_loss"] if prefix else row["loss"]
    return row["val_categorical_accuracy"] if prefix else row["categorical_accuracy"]


def curves(name: str, starts: Sequence[Start], metric: str) -> str:
    """Accuracy or loss an epoch, each fine-tuning drawn from where its transfer curve left off.

    With several seeds a line is their mean, and the band around validation's goes from the lowest to the highest.

    Args:
        name: Unique in the page; the SVG's ids begin with it.
        starts: Transfer learning alone first, in the order of their colours.
        metric: `categorical_accuracy` (drawn in %) or `loss` (in nats).
    """
    accuracy = metric == "categorical_accuracy"
    unit = 100 if accuracy else 1

    def draw(axes: Any) -> None:
        from matplotlib.ticker import ScalarFormatter

        heights: list[float] = []
        for number, start in enumerate(starts):
            colour, switch_epoch = f"#0a0b{number:02x}", start.switch_epoch or 0
            means: dict[int, float] = {}
            for prefix, line, width in (("", (0, (3, 2)), 1.2), ("val_", "-", 2.2)):
                values = dict(
                    enumerate(_values(starts[0], metric, prefix)[switch_epoch - 1 : switch_epoch], switch_epoch)
                )
                values |= dict(enumerate(_values(start, metric, prefix), switch_epoch + 1))
                means = {x: unit * mean(each) for x, each in values.items()}
                heights += means.values()
                axes.plot(list(means), list(means.values()), linestyle=line, linewidth=width, color=colour, zorder=3)
                if prefix and len(start.sound) > 1:
                    low, high = ([unit * end(each) for each in values.values()] for end in (min, max))
                    axes.fill_between(list(values), low, high, color=colour, alpha=0.15, linewidth=0, zorder=2)
            heights += _marks(axes, start, means, colour, metric, unit)
        epoch_axis(axes)
        axes.set_ylabel("Accuracy (%)" if accuracy else "Loss (nats)")
        if not accuracy and heights and max(heights) > 30 * min(heights) > 0:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(ScalarFormatter())
            axes.set_ylabel("Loss (nats, logarithmic)")

    return drawn(name, f"{'Accuracy' if accuracy else 'Loss'} an epoch", draw)


def _values(start: Start, metric: str, prefix: str) -> list[list[float]]:
    """For each epoch the seeds' values."""
    return over_seeds([[_measured(row, metric, prefix) for row in each.history["epochs"]] for each in start.sound])


def _marks(axes: Any, start: Start, means: Mapping[int, float], colour: str, metric: str, unit: float) -> list[float]:
    """The kept epoch, where there is one seed, and each training that diverged; gives the heights of these."""
    first = start.switch_epoch or 0
    best = first + start.trainings[0].history["best_epoch"]
    if best in means and len(start.trainings) == 1:
        axes.plot(best, means[best], "o", color=colour, markersize=9, markeredgecolor=PAPER, zorder=5)
    heights: list[float] = []
    for training in start.trainings:
        rows = training.history["epochs"]
        if training.result["diverged"] and rows:
            values = [unit * _measured(row, metric, "val_") for row in rows]
            epochs = range(first + 1, first + len(rows) + 1)
            axes.plot(epochs, values, linewidth=1.2, color=colour, zorder=3)
            axes.plot(epochs[-1], values[-1], "x", color=colour, markersize=11, markeredgewidth=3, zorder=6)
            heights += values
    return heights


def an_epoch(name: str, starts: Sequence[Start], values: Sequence[Sequence[float]], first: int, unit: str) -> str:
    """A number an epoch from 0 up, a line for each start.

    Args:
        name: Unique in the page; the SVG's ids begin with it.
        starts: In the order of their colours.
        values: For each of them a number an epoch.
        first: The colour of the first; the others follow.
        unit: What the numbers are, and in what.
    """

    def draw(axes: Any) -> None:
        from matplotlib.ticker import FuncFormatter

        for colour, (start, each) in enumerate(zip(starts, values, strict=True), first):
            epochs = [(start.switch_epoch or 0) + epoch for epoch in range(1, len(each) + 1)]
            axes.plot(epochs, each, marker="o", markersize=5, linewidth=2.2, color=f"#0a0b{colour:02x}", zorder=3)
        epoch_axis(axes)
        axes.set_ylim(bottom=0, top=1.08 * max((max(each, default=0) for each in values), default=0) or 1)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_ylabel(unit)

    return drawn(name, f"{unit} an epoch", draw)


def forest(name: str, starts: Sequence[Start]) -> str:
    """Each start's gain over transfer learning alone with its interval, and each seed's own gain as a ring.

    Args:
        name: Unique in the page; the SVG's ids begin with it.
        starts: Transfer learning alone first, in the order of their colours.
    """

    def draw(axes: Any) -> None:
        alone = [each.result["test_accuracy"] for each in starts[0].trainings]
        for number, start in enumerate(starts[1:], 1):
            gain, colour = start.gain, f"#0a0b{number:02x}"
            if not gain:
                continue
            axes.plot([gain["low"], gain["high"]], [-number] * 2, color=colour, linewidth=3, solid_capstyle="butt")
            if len(alone) > 1:
                each = [
                    100 * (one.result["test_accuracy"] - own) for one, own in zip(start.trainings, alone, strict=True)
                ]
                axes.plot(each, [-number] * len(each), "o", markersize=6, markeredgecolor=colour, color=PAPER, zorder=4)
            axes.plot(gain["points"], -number, "s", color=colour, markersize=9, markeredgecolor=PAPER, zorder=5)
        axes.axvline(0, color=TEXT, linewidth=1.4)
        axes.set_yticks(
            [-number for number in range(1, len(starts))], [f"from epoch {start.switch_epoch}" for start in starts[1:]]
        )
        axes.set_ylim(-len(starts) + 0.4, -0.4)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=RULE, linewidth=1)
        axes.set_xlabel("Points over transfer learning alone")

    return drawn(name, "Gain of each start", draw, 74 + 25 * len(starts))


def reliability(name: str, bins: Sequence[Bin]) -> str:
    """Reliability diagram: accuracy of each bin of confidence, its gap to the mean confidence, and its photos.

    Source:
        Guo et al. 2017, On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599 (figure 1)
    """
    full = [each for each in bins if each["photos"]]
    middles = [50 * (each["from"] + each["to"]) for each in full]
    width = 100 / len(bins) * 0.88
    accuracy = [100 * (each["accuracy"] or 0.0) for each in full]
    gaps = [100 * (each["confidence"] or 0.0) - height for each, height in zip(full, accuracy, strict=True)]

    def draw(panels: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        above, below = panels
        above.bar(middles, accuracy, width, color=ACCENT)
        above.bar(middles, gaps, width, accuracy, color="none", edgecolor=GAP, linewidth=1.8)
        above.plot([0, 100], [0, 100], color=TEXT, linewidth=1.2, linestyle=(0, (4, 3)))
        above.set_ylim(0, 100)
        above.set_ylabel("Accuracy (%)")
        below.bar(middles, [each["photos"] for each in full], width, color=ACCENT)
        below.set_ylabel("Photos")
        below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        below.set_xlim(0, 100)
        below.set_xlabel("Confidence (%)")
        panels[0].get_figure().align_ylabels()

    return drawn(name, "Reliability diagram", draw, 400, nrows=2, sharex=True, height_ratios=[3, 1])


def key(mark: str, text: str, colour: str = "text") -> str:
    """An entry of a legend: shapes in a box of 26 by 12."""
    return f'<li><svg viewBox="0 0 26 12" style="color:var(--{colour})">{mark}</svg>{text}</li>'


_LINE = '<path d="M1 6h24" stroke="currentColor" stroke-width="{}" stroke-dasharray="{}"/>'
SOLID = _LINE.format(3, "none")


def legend_of(items: Sequence[str]) -> str:
    """Text of the page, so that it never covers a curve."""
    return f'<ul class="legend">{"".join(items)}</ul>'


def _series(starts: Sequence[Start]) -> list[str]:
    names = [f"from epoch {start.switch_epoch}" if start.switch_epoch else "transfer learning" for start in starts]
    return [key(SOLID, name, f"s{number}") for number, name in enumerate(names)]


def legend(starts: Sequence[Start]) -> str:
    """What colours, lines and marks of the curves mean."""
    items = _series(starts) if len(starts) > 1 else []
    items += [key(_LINE.format(2.2, "none"), "validation"), key(_LINE.format(1.4, "4 3"), "training")]
    if len(starts[0].trainings) > 1:
        band = '<path d="M1 1h24v10h-24z" fill="currentColor" opacity=".25"/>'
        items.append(key(band, "validation, lowest to highest seed"))
    else:
        items.append(key('<circle cx="13" cy="6" r="4.5" fill="currentColor"/>', "kept epoch"))
    if any(start.diverged for start in starts):
        items.append(key('<path d="M8 1l10 10M18 1l-10 10" stroke="currentColor" stroke-width="3"/>', "diverged"))
    return legend_of(items)


def series_legend(starts: Sequence[Start]) -> str:
    """What the colours mean, where lines are all alike."""
    return legend_of(_series(starts))


def forest_legend(seeds: int) -> str:
    """What the forest plot's marks mean."""
    items = [
        key('<path d="M8 1h10v10h-10z" fill="currentColor"/>', "gain" + ", mean of the seeds" * (seeds > 1)),
        key(SOLID, "95 % interval, all at once"),
    ]
    if seeds > 1:
        ring = '<circle cx="13" cy="6" r="4" stroke="currentColor" stroke-width="1.5"/>'
        items.append(key(ring, "each seed"))
    return legend_of(items)


def reliability_legend() -> str:
    """What the reliability diagram's shapes mean."""
    box = '<rect x="7" y="1" width="12" height="10" {}="currentColor" stroke-width="2"/>'
    return legend_of(
        [
            key(box.format("fill"), "accuracy of the photos in the bin", "accent"),
            key(box.format("stroke"), "gap to their mean confidence", "gap"),
            key(_LINE.format(1.4, "4 3"), "where they would be equal"),
        ]
    )
