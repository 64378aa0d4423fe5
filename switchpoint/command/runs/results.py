"""What a finished run came to, read from its artifacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from switchpoint.files import copy
from switchpoint.provenance.metadata import MODEL

if TYPE_CHECKING:
    from switchpoint.command.documents import Run
    from switchpoint.documents.results import Result


def fill_in(document: Run, report: Path) -> None:
    """Put results, what was found about the photos, the report and the best model into a run's document.

    Args:
        document: A run's, whose steps have all ended well.
        report: Where to put the page under a name that browsers know, and look.html beside it; KFP's have no suffix.
    """
    outputs = {step["name"]: step["outputs"] for step in document["steps"]}  # of those that are there once
    manifest = json.loads((Path(outputs["prepare"]["records"]) / "manifest.json").read_text())
    results = json.loads(Path(outputs["report"]["results"]).read_text())
    document["results"] = results["results"]
    document["search"] = results["search"]
    document["starts"] = results["starts"]
    document["conclusion"] = results["conclusion"]
    document["best"] = results["best"]
    document["verdict"] = results["verdict"]
    document["differences"] = results["differences"]
    document["leaked"] = results["leaked"]
    document["left_out"] = manifest["left_out"]
    document["duplicates"] = manifest["duplicates"]
    document["dropped"] = manifest["dropped"]
    document["notes"] = manifest["notes"]
    if "promote" in outputs:
        document["promotion"] = json.loads(Path(outputs["promote"]["promotion"]).read_text())
    if "drift" in outputs:
        document["drift"] = json.loads(Path(outputs["drift"]["comparison"]).read_text())
        copy(Path(outputs["drift"]["page"]), report.with_name("drift.html"))
    # Beside each other: the report links to the other page by this name.
    copy(Path(outputs["prepare"]["look"]), report.with_name("look.html"))
    copy(Path(outputs["report"]["page"]), report)
    document["report"] = str(report)
    document["model"] = str(Path(outputs["report"]["model"]) / MODEL)


def chosen(document: Run) -> Result | None:
    """The training whose model a run keeps, by its validation photos; None where the document does not say it."""
    if not (best := document.get("best")):
        return None
    return next((row for row in whole(document) if row["model_digest"] == best["model_digest"]), None)


def whole(document: Run) -> list[Result]:
    """The trainings that went to their end: those that a search eliminated were not tested."""
    return cast("list[Result]", [row for row in document["results"] if row.get("rung") is None])
