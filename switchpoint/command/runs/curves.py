"""The trainings of a run of this machine, epoch by epoch, as data and as a picture."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from switchpoint.command.errors import ArtifactGoneError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from switchpoint.command.documents import Run
    from switchpoint.documents.training import History


class Curves(list["History"]):
    """A history a training: transfer learning first, then the fine-tunings; a notebook shows it as a picture."""

    def __repr__(self) -> str:
        return f"<Curves of {len(self)} trainings>"

    def figure(self, metric: str = "accuracy") -> Figure:
        """Draw it: validation solid and training dashed, each fine-tuning from where its transfer learning left off.

        Args:
            metric: `accuracy` or `loss` (in nats a photo).
        """
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        from components.report.charts import COLOURS

        name = {"accuracy": "categorical_accuracy"}.get(metric, metric)
        trained = sorted({(history["switch_epoch"], history["learning_rate"]) for history in self})
        several = len({rate for first, rate in trained if first}) > 1
        transfers = {history["seed"]: history["epochs"] for history in self if not history["switch_epoch"]}
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.subplots()
        for history in self:
            first, rate = history["switch_epoch"], history["learning_rate"]
            rows = transfers.get(history["seed"], [])[first - 1 : first] if first else []
            values: list[Any] = [*rows, *history["epochs"]]
            epochs = range(first + 1 - len(rows), first + 1 + len(history["epochs"]))
            style: dict[str, Any] = {"color": COLOURS[trained.index((first, rate)) % len(COLOURS)][0]}
            axes.plot(epochs, [row[name] for row in values], linestyle=(0, (3, 2)), linewidth=1, **style)
            label = f"fine-tuning from epoch {first}" if first else "transfer learning"
            label += f" at {rate:g}" if first and several else ""
            labels = axes.get_legend_handles_labels()[1]
            style["label"] = "" if label in labels else label  # a seed's line has the colour of the others
            axes.plot(epochs, [row[f"val_{name}"] for row in values], linewidth=2, **style)
        axes.set(xlabel="Epoch", ylabel={"accuracy": "Accuracy", "loss": "Loss (nats)"}[metric])
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
        axes.legend(title="Validation; dashed: training", frameon=False)
        return figure

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.figure().savefig(picture, format="png", dpi=96)
        return picture.getvalue()


def curves(document: Run) -> Curves:
    """Of the trainings of a run that have ended; of a rung of a search only where that was the last.

    Raises:
        ArtifactGoneError: A history is no longer there.
    """
    found: dict[Any, History] = {}
    for step in document["steps"]:
        if uri := step.get("outputs", {}).get("history"):
            try:
                history: History = json.loads(Path(uri).read_text(encoding="utf-8"))
            except FileNotFoundError:
                raise ArtifactGoneError(f"{uri} is gone. Run the pipeline again to have it back.") from None
            # Steps come in their order, so the longest is last.
            found[history["seed"], history["switch_epoch"], history["learning_rate"]] = history
    return Curves(found.values())
