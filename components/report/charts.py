"""The report's charts: inline SVG whose colours are CSS variables, so that one picture serves light and dark."""

import re
from collections.abc import Sequence
from html import escape
from io import StringIO
from typing import Any

Json = dict[str, Any]

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
TEXT, RULE, PAPER = "#010101", "#020202", "#030303"
LABELLED_CELLS = 20  # classes up to which a confusion matrix has room for counts


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
    for colour, variable in ((TEXT, "var(--text)"), (RULE, "var(--rule)"), (PAPER, "var(--paper)")):
        svg = svg.replace(colour, variable)
    return svg


def curves(name: str, transfer: Json, finetunes: Sequence[Json], metric: str) -> str:
    """Accuracy or loss an epoch, each fine-tuning drawn from where its transfer curve left off.

    Args:
        name: Unique in the page; the SVG's ids begin with it.
        transfer: History of transfer learning.
        finetunes: Histories of the fine-tunings, in the order of their colours.
        metric: `categorical_accuracy` (drawn in %) or `loss` (in nats).
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    accuracy = metric == "categorical_accuracy"
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 13, "axes.edgecolor": RULE}
    style |= {f"{part}.color": TEXT for part in ("text", "xtick", "ytick")} | {"axes.labelcolor": TEXT}
    with rc_context(style):
        figure = Figure(figsize=(480 / 72, 290 / 72), layout="constrained", facecolor="none")
        axes = figure.subplots()
        axes.set_facecolor("none")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="y", color=RULE, linewidth=1)
        axes.tick_params(which="both", length=0, pad=6)
        heights: list[float] = []
        for number, history in enumerate([transfer, *finetunes]):
            colour, switch_epoch = f"#0a0b{number:02x}", history["switch_epoch"]
            rows = [(row["epoch"], row) for row in transfer["epochs"] if row["epoch"] == switch_epoch]
            rows += [(switch_epoch + row["epoch"], row) for row in history["epochs"]]
            points: dict[int, float] = {}
            for key, line, width in ((metric, (0, (3, 2)), 1.2), (f"val_{metric}", "-", 2.2)):
                points = {x: row[key] * (100 if accuracy else 1) for x, row in rows if row[key] is not None}
                heights += points.values()
                axes.plot(list(points), list(points.values()), linestyle=line, linewidth=width, color=colour, zorder=3)
            best, last = switch_epoch + history["best_epoch"], max(points, default=0)
            if best in points:
                axes.plot(best, points[best], "o", color=colour, markersize=9, markeredgecolor=PAPER, zorder=5)
            if history["diverged"] and points:
                axes.plot(last, points[last], "x", color=colour, markersize=11, markeredgewidth=3, zorder=6)
        axes.set_xlim(left=0.5)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.set_xlabel("Epoch")
        axes.set_ylabel("Accuracy (%)" if accuracy else "Loss (nats)")
        if not accuracy and heights and max(heights) > 30 * min(heights) > 0:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(ScalarFormatter())
            axes.set_ylabel("Loss (nats, logarithmic)")
        text = StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    what = "Accuracy" if accuracy else "Loss"
    return _inline(text.getvalue(), name, f"{what} an epoch: the numbers are in the table below")


def legend(transfer: Json, finetunes: Sequence[Json]) -> str:
    """What colours, lines and marks mean; text of the page, so that it never covers a curve."""

    def key(mark: str, text: str, colour: str = "text") -> str:
        return f'<li><svg viewBox="0 0 26 12" style="color:var(--{colour})">{mark}</svg>{text}</li>'

    line = '<path d="M1 6h24" stroke="currentColor" stroke-width="{}" stroke-dasharray="{}"/>'
    solid = line.format(3, "none")
    series = ["transfer learning", *(f"from epoch {history['switch_epoch']}" for history in finetunes)]
    items = [key(solid, name, f"s{number}") for number, name in enumerate(series)] if finetunes else []
    items += [key(line.format(2.2, "none"), "validation"), key(line.format(1.4, "4 3"), "training")]
    items.append(key('<circle cx="13" cy="6" r="4.5" fill="currentColor"/>', "best epoch"))
    if any(history["diverged"] for history in (transfer, *finetunes)):
        items.append(key('<path d="M8 1l10 10M18 1l-10 10" stroke="currentColor" stroke-width="3"/>', "diverged"))
    return f'<ul class="legend">{"".join(items)}</ul>'


def interval(gain: Json, gains: Sequence[Json]) -> str:
    """A gain and its interval as a dot on a line, on one scale for all of `gains`, with a tick at 0."""
    low = min(0.0, *(each["low"] for each in gains))
    width = max(0.0, *(each["high"] for each in gains)) - low or 1.0
    a, b, middle, zero = (5 + 90 * (value - low) / width for value in (gain["low"], gain["high"], gain["points"], 0.0))
    return (
        f'<svg class="interval" viewBox="0 0 100 12" aria-hidden="true">'
        f'<path d="M{zero:.1f} 0v12" stroke="var(--muted)"/>'
        f'<path d="M{a:.1f} 6H{b:.1f}" stroke="currentColor" stroke-width="2"/>'
        f'<circle cx="{middle:.1f}" cy="6" r="3.5" fill="currentColor"/></svg>'
    )


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """A confusion matrix: rows are what is on the photo, columns what the model said, colour the share of the row.

    Up to 20 classes each cell holds its count. Beyond, cells are drawn in eight strengths, each one path, which keeps
    101 classes below 300 KB however bad the model.
    """
    few = len(classes) <= LABELLED_CELLS
    cell, font = (max(28, 9 * len(str(max(map(max, matrix))))), 14) if few else (11, 10)
    names = [name if len(name) <= 24 else name[:23] + "…" for name in classes]
    edge = round(max(map(len, names)) * font * 0.56) + 14
    size = cell * len(classes)
    cells: dict[tuple[str, int], list[str]] = {}
    texts = []
    for y, row in enumerate(matrix):
        for x, count in enumerate(row):
            if count:
                strength = round(8 * max(0.125, (count / sum(row)) ** 0.5))
                path = f"M{edge + x * cell} {edge + y * cell}h{cell}v{cell}h-{cell}z"
                cells.setdefault(("hit" if x == y else "miss", strength), []).append(path)
                if few:
                    texts.append(
                        f'<text x="{edge + (x + 0.5) * cell}" y="{edge + (y + 0.66) * cell:.1f}">{count}</text>'
                    )
    shapes = [
        f'<path d="{"".join(paths)}" fill="var(--{kind})" fill-opacity="{strength / 8}"/>'
        for (kind, strength), paths in sorted(cells.items())
    ]
    every = 1 if few else 10
    lines = "".join(
        f"M{edge + i * cell} {edge}v{size}M{edge} {edge + i * cell}h{size}"
        for i in sorted({*range(0, len(classes) + 1, every), len(classes)})
    )
    labels = []
    for i, (name, full) in enumerate(zip(names, classes, strict=True)):
        at, title = edge + (i + 0.5) * cell + font * 0.34, f"<title>{escape(full)}</title>{escape(name)}"
        labels.append(f'<text x="{edge - 8}" y="{at:.1f}" text-anchor="end">{title}</text>')
        labels.append(f'<text transform="translate({at:.1f} {edge - 8})rotate(-90)" text-anchor="start">{title}</text>')
    return (
        f'<svg class="confusion" role="img" aria-label="Confusion matrix: its numbers are in the table below" '
        f'viewBox="0 0 {edge + size + 4} {edge + size + 4}" font-size="{font}" text-anchor="middle" '
        f'style="{"max-width" if few else "width"}:{round((edge + size + 4) * (1.15 if few else 1))}px">'
        f'{"".join(shapes)}<path d="{lines}" stroke="var(--rule)" fill="none"/>{"".join(texts)}{"".join(labels)}</svg>'
    )
