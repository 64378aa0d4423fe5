"""What a finished run came to, read from its artifacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from switchpoint.files import copy
from switchpoint.provenance.metadata import MODEL

if TYPE_CHECKING:
    from switchpoint.documents import Run


def collect(document: Run, report: Path) -> None:
    """Put results, photos left out, the report and the best model into a run's document.

    Args:
        document: A run's, whose steps have all ended well.
        report: Where to put the page under a name that browsers know, and photos.html beside it; KFP's have no suffix.
    """
    outputs = {step["name"]: step["outputs"] for step in document["steps"] if step["name"] in ("prepare", "report")}
    manifest = json.loads((Path(outputs["prepare"]["records"]) / "manifest.json").read_text())
    results = json.loads(Path(outputs["report"]["results"]).read_text())
    document["results"] = results["results"]
    document["conclusion"] = results["conclusion"]
    document["left_out"] = manifest["left_out"]
    # Beside each other: the pages link to each other by these names.
    for output, page in (("photos", report.with_name("photos.html")), ("page", report)):
        copy(Path(outputs["report"][output]), page)
    document["report"] = str(report)
    document["model"] = str(Path(outputs["report"]["model"]) / MODEL)
