"""What a search by successive halving came to: what it spent, who was eliminated when, and their curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from components.report import charts
from components.report.wording import percent
from switchpoint.errors import RecordsError, again
from switchpoint.pages import details, table
from switchpoint.training.collected import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from components.report.starts import Start
    from switchpoint.documents.results import Eliminated, SearchResult
    from switchpoint.documents.training import History, Search


class Lost(NamedTuple):
    """A candidate that a rung eliminated, and its training until then."""

    rung: int
    history: History

    @property
    def candidate(self) -> Candidate:
        """Which."""
        return Candidate(self.history["switch_epoch"], self.history["learning_rate"])


def check(search: Search, starts: Sequence[Start]) -> None:
    """Refuse a search that was of other candidates.

    Raises:
        RecordsError: Those that it left are not those that were trained to their end.
    """
    left = {Candidate(*each) for each in search["rungs"][-1]["survivors"]}
    trained = {
        Candidate(start.switch_epoch or 0, tried[0].result["learning_rate"] or 0.0)
        for start in starts[1:]
        for tried in start.tried
    }
    if left != trained:
        names = [", ".join(sorted(each.name for each in found)) for found in (left, trained)]
        raise RecordsError(f"The search left {names[0]}, but trained to its end is {names[1]}. {again('collect')}")


def eliminated(search: Search | None) -> Iterator[Lost]:
    """Those that did not go on, rung by rung."""
    for rung in search["rungs"] if search else ():
        left = {tuple(each) for each in rung["survivors"]}
        for history in rung["histories"]:
            if (history["switch_epoch"], history["learning_rate"]) not in left:
                yield Lost(rung["rung"], history)


def results(search: Search | None) -> list[Eliminated]:
    """What they came to: on validation, for they never see the test photos."""
    return [
        {
            "switch_epoch": history["switch_epoch"],
            "learning_rate": history["learning_rate"],
            "seed": history["seed"],
            "rung": rung,
            "best_epoch": history["best_epoch"],
            "validation_accuracy": history["validation_accuracy"],
            "test_accuracy": None,
            "test_top_5": None,
            "test_loss": None,
            "diverged": bool(history["diverged"]),
            "model_digest": history["model_digest"],
            "seconds": round(sum(history["seconds"]), 1),
        }
        for rung, history in eliminated(search)
    ]


def summary(search: Search | None, starts: Sequence[Start]) -> SearchResult | None:
    """How many epochs of fine-tuning it spent, and how many a sweep would have spent at most."""
    if search is None:
        return None
    spent = [lost.history for lost in eliminated(search)]
    spent += [each.history for start in starts[1:] for tried in start.tried for each in tried]
    candidates, seeds = len(search["rungs"][0]["histories"]), len(starts[0].trainings)
    return {
        "epochs": sum(len(history["epochs"]) for history in spent),
        "sweep_epochs": candidates * seeds * search["epochs"],
        "rungs": [
            {"epochs": rung["until"], "candidates": len(rung["histories"]), "survivors": len(rung["survivors"])}
            for rung in search["rungs"]
        ],
    }


def section(search: Search | None, found: SearchResult | None, starts: Sequence[Start]) -> str:
    """The report's section; empty where nothing was searched."""
    if search is None or found is None:
        return ""
    rungs, seeds = found["rungs"], len(starts[0].trainings)
    steps = "; ".join(
        f"after epoch {rung['epochs']}, {rung['survivors']} of {rung['candidates']} went on" for rung in rungs
    )
    others = " The other seeds trained only those that were left." if seeds > 1 else ""
    body = [
        (
            f"epoch {lost.candidate.switch_epoch}",
            f"{lost.candidate.learning_rate:g}",
            f"{len(lost.history['epochs'])}" + ", diverged" * bool(lost.history["diverged"]),
            percent(lost.history["validation_accuracy"]),
        )
        for lost in eliminated(search)
    ]
    head = ("Fine-tuning from", "Learning rate", "Ended after epoch", "Validation accuracy")
    return f"""<section><h2>The search</h2>
<p class="prose">Successive halving spent {found["epochs"]:,} epochs of fine-tuning; a sweep of all candidates would
spend {found["sweep_epochs"]:,} at most.
By the validation accuracy of seed {search["rungs"][0]["histories"][0]["seed"]},
{steps}.{others} Transfer learning alone always stays. Who was eliminated was not tried on the test photos.</p>
{_legend()}<div class="pair"><figure>{_curves(search, starts)}</figure></div>
{details("Who was eliminated", table(head, body))}</section>"""


def _legend() -> str:
    return charts.legend_of(
        [charts.key(charts.SOLID, "trained to the end", "accent"), charts.key(charts.SOLID, "eliminated", "gap")]
    )


def _curves(search: Search, starts: Sequence[Start]) -> str:
    seed = search["rungs"][0]["histories"][0]["seed"]
    alone = next(each.history["epochs"] for each in starts[0].trainings if each.result["seed"] == seed)
    kept = [
        each.history for start in starts[1:] for tried in start.tried for each in tried if each.result["seed"] == seed
    ]

    def draw(axes: Any) -> None:
        lines = [(lost.history, charts.GAP) for lost in eliminated(search)] + [(each, charts.ACCENT) for each in kept]
        for history, colour in lines:
            rows = [alone[history["switch_epoch"] - 1], *history["epochs"]]
            values = [100 * row["val_categorical_accuracy"] for row in rows]
            axes.plot(values, color=colour, linewidth=1.4, zorder=3)
            if colour == charts.GAP:
                axes.plot(len(rows) - 1, values[-1], "o", color=colour, markersize=5, zorder=4)
        for rung in search["rungs"]:
            axes.axvline(rung["until"], color=charts.TEXT, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
        charts.epoch_axis(axes)
        axes.set_xlim(left=0)
        axes.set_xlabel("Epoch of fine-tuning (0: the model it starts from)")
        axes.set_ylabel("Validation accuracy (%)")

    return charts.drawn("search", "Validation accuracy of each candidate, until it was eliminated", draw)
