"""A comparison of runs as a page: the report's style and charts."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from components.report import charts
from components.report.wording import percent, unbroken
from switchpoint.command.compare import words
from switchpoint.pages import details, document, table

if TYPE_CHECKING:
    from switchpoint.command.documents import Compared


def html(compared: Compared) -> str:
    """One file that needs nothing else."""
    names = words.names(compared)
    sentence = unbroken(escape(words.sentence(compared)))
    parts = [
        f"<h1>{sentence}</h1>",
        _section("Results", "Test accuracy, means over the seeds; * is recommended by the validation photos.")
        + table(("", *names), words.results(compared)),
    ]
    if compared["differences"]:
        seeds = compared["seeds"]
        note = "The intervals hold all at once, on the same photos, " + (
            f"under seeds {', '.join(map(str, seeds))}." if len(seeds) > 1 else f"for the models of seed {seeds[0]}."
        )
        head = ("Start", "Run", f"Points over {names[0]}", "95 % interval", "")
        parts.append(_section("Differences", note) + table(head, words.differences(compared), "numbers cards"))
    parts.append(
        _section("Curves", "Validation accuracy an epoch, of each run the way to what it recommends.")
        + _curves(compared)
    )
    alike = "<p>The runs have the same parameters, code and packages.</p>"
    parts.append(_section("What differs", "") + (
        table(("", *names), words.parameters(compared), "names") if compared["parameters"] else alike
    ))  # fmt: skip
    light, dark = charts.palette(len(names))
    return document(f"Switchpoint: {', '.join(names)}", "\n".join(parts), light, dark)


def _section(title: str, note: str) -> str:
    return f"<h2>{title}</h2>" + f'<p class="note">{note}</p>' * bool(note)


def _curves(compared: Compared) -> str:
    found = words.curves(compared)

    def draw(axes: Any) -> None:
        for number, (_, before, after) in enumerate(found, 1):
            values = [100 * value for value in (*before, *after)]
            epochs = range(1, len(values) + 1)
            axes.plot(epochs, values, linewidth=2.2, color=f"#0a0b{number:02x}", zorder=3)
            if after and before:
                mark = {"markersize": 9, "markeredgecolor": charts.PAPER, "zorder": 5}
                axes.plot(len(before), values[len(before) - 1], "o", color=f"#0a0b{number:02x}", **mark)
        charts.epoch_axis(axes)
        axes.set_ylabel("Validation accuracy (%)")

    items = [
        charts.key(charts.SOLID, f"{escape(name)}: {words.course(run)}", f"s{number}")
        for number, (name, run) in enumerate(zip(words.names(compared), compared["runs"], strict=True), 1)
    ]
    items.append(charts.key('<circle cx="13" cy="6" r="4.5" fill="currentColor"/>', "fine-tuning starts"))
    rows = [
        [name, str(epoch), "transfer learning" if epoch <= len(before) else "fine-tuning", percent(value, 2)]
        for name, before, after in found
        for epoch, value in enumerate((*before, *after), 1)
    ]
    numbers = details("The numbers", table(("Run", "Epoch", "Phase", "Validation accuracy"), rows))
    drawing = charts.drawn("compared", "Validation accuracy an epoch", draw)
    return f'{charts.legend_of(items)}<figure class="forest">{drawing}</figure>{numbers}'
