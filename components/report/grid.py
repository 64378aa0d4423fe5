"""Every start at every learning rate: what validation compared before the starts were."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from components.report.wording import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.report.starts import Start, Training

FAINTEST, STRONGEST = 4, 40  # percent of the accent's colour: text stays readable on both


def section(starts: Sequence[Start]) -> str:
    """The report's section; empty where each start has one learning rate.

    Args:
        starts: Transfer learning alone first.
    """
    tuned = starts[1:]
    if all(len(start.tried) < 2 for start in tuned):
        return ""
    rates = [trained[0].result["learning_rate"] for trained in tuned[0].tried]
    heights = [_validation(trained) for start in tuned for trained in start.tried]
    low, high = min(heights), max(heights)

    def cell(start: Start, trained: Sequence[Training]) -> str:
        height = _validation(trained)
        share = FAINTEST + (STRONGEST - FAINTEST) * ((height - low) / (high - low) if high > low else 1)
        kept = " class=kept" * (trained is start.trainings)
        test = percent(mean(each.result["test_accuracy"] for each in trained))
        diverged = "<small>diverged</small>" * any(each.result["diverged"] for each in trained)
        return f'<td{kept} style="--share:{share:.0f}%">{percent(height)}<small>test {test}</small>{diverged}</td>'

    rows = "".join(
        f'<tr><th scope="row">epoch {start.switch_epoch}</th>{"".join(cell(start, each) for each in start.tried)}</tr>'
        for start in tuned
    )
    head = "".join(f'<th scope="col">{rate:g}</th>' for rate in rates)
    return f"""<section><h2>Every learning rate</h2>
<p class="note">Validation accuracy of fine-tuning from each epoch at each learning rate, the darker the higher, and
below it test accuracy{"; means over the seeds" * (len(starts[0].trainings) > 1)}. Framed: the learning rate with the
highest validation accuracy, at which the start is compared with the others.</p>
<div class="scroll" tabindex="0"><table class="grid"><thead><tr><th scope="col">Fine-tuning from</th>{head}</tr></thead>
<tbody>{rows}</tbody></table></div></section>"""


def _validation(trained: Sequence[Training]) -> float:
    return mean(each.result["validation_accuracy"] for each in trained)
