"""What a run of this machine made: of several seeds that of the kept model's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from switchpoint.command.errors import ArtifactGoneError, NoModelError
from switchpoint.provenance.metadata import MODEL

if TYPE_CHECKING:
    from switchpoint.command.documents import Run


def made_by(document: Run, step: str, output: str) -> Path:
    """An artifact of a run of this machine: of several seeds that of the kept model's.

    Raises:
        NoModelError: The step has not ended, or is of a version that did not make it.
        ArtifactGoneError: It is not there any more.
    """
    best = document.get("best")
    for each in document["steps"]:
        path = each.get("outputs", {}).get(output)
        if each["name"] == step and path and (each["seed"] is None or best is None or each["seed"] == best["seed"]):
            if not Path(path).exists():
                raise ArtifactGoneError(f"The {output} of run {document['id']} are gone: {path}. Run it again.")
            return Path(path)
    if any(each["name"] == step and each.get("outputs") for each in document["steps"]):
        raise NoModelError(
            f"Run {document['id']} has no {output}: an earlier version made it. `switchpoint rerun {document['id']}` "
            "makes one."
        )
    raise NoModelError(f"Run {document['id']} {document['state']}: its step {step} has not ended. Run it to its end.")


def transfer_model(document: Run) -> Path:
    """Transfer learning's `.keras` file; raises what `made_by` raises."""
    return made_by(document, "transfer", "model") / MODEL
