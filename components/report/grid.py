"""Every start at every learning rate: what validation compared before the starts were."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from components.report.wording import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.report.starts import Start, Training
    from switchpoint.documents.training import History

FAINTEST, STRONGEST = 4, 40  # percent of the accent's colour: text stays readable on both


def section(starts: Sequence[Start], eliminated: Sequence[History] = ()) -> str:
    """The report's section; empty where there is one learning rate.

    Args:
        starts: Transfer learning alone first.
        eliminated: Of candidates that a search did not train to their end.
    """
    tried = {
        (start.switch_epoch or 0, trained[0].result["learning_rate"] or 0.0): (start, trained)
        for start in starts[1:]
        for trained in start.tried
    }
    lost = {(history["switch_epoch"], history["learning_rate"]): history for history in eliminated}
    epochs, rates = sorted({epoch for epoch, _ in [*tried, *lost]}), sorted({rate for _, rate in [*tried, *lost]})
    if len(rates) < 2:
        return ""
    heights = [_validation(trained) for _, trained in tried.values()]
    low, high = min(heights), max(heights)

    def cell(epoch: int, rate: float) -> str:
        if history := lost.get((epoch, rate)):
            after = f"<small>eliminated after {len(history['epochs'])}</small>"
            after += "<small>diverged</small>" * bool(history["diverged"])
            return f"<td>{percent(history['validation_accuracy'])}{after}</td>"
        start, trained = tried[epoch, rate]
        height = _validation(trained)
        share = FAINTEST + (STRONGEST - FAINTEST) * ((height - low) / (high - low) if high > low else 1)
        kept = " class=kept" * (trained is start.trainings)
        test = percent(mean(each.result["test_accuracy"] for each in trained))
        diverged = "<small>diverged</small>" * any(each.result["diverged"] for each in trained)
        return f'<td{kept} style="--share:{share:.0f}%">{percent(height)}<small>test {test}</small>{diverged}</td>'

    rows = "".join(
        f'<tr><th scope="row">epoch {epoch}</th>{"".join(cell(epoch, rate) for rate in rates)}</tr>' for epoch in epochs
    )
    head = "".join(f'<th scope="col">{rate:g}</th>' for rate in rates)
    ended = " A search eliminated the others after so many epochs, and they were not tested." if lost else ""
    return f"""<section><h2>Every learning rate</h2>
<p class="note">Validation accuracy of fine-tuning from each epoch at each learning rate, the darker the higher, and
below it test accuracy{"; means over the seeds" * (len(starts[0].trainings) > 1)}. Framed: the learning rate with the
highest validation accuracy, at which the start is compared with the others.{ended}</p>
<div class="scroll" tabindex="0"><table class="grid"><thead><tr><th scope="col">Fine-tuning from</th>{head}</tr></thead>
<tbody>{rows}</tbody></table></div></section>"""


def _validation(trained: Sequence[Training]) -> float:
    return mean(each.result["validation_accuracy"] for each in trained)
