"""Artifacts of the runs of this machine, found by digest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from switchpoint.command.runs.artifacts import maker, metadata

if TYPE_CHECKING:
    from switchpoint.command.documents import Run


class Index(Protocol):
    """Finds artifacts by digest: on this machine, or in the bucket of a cluster."""

    def get(
        self, step: str, output: str, digest: str | None
    ) -> tuple[Path | str | None, dict[str, Any] | None, str | None]:
        """Where an artifact lies, its metadata, the run that made it; each None where it is not known."""


class Artifacts:
    """Artifacts of the runs of this machine, by step, output and digest."""

    def __init__(self, documents: list[Run]) -> None:
        self.found: dict[tuple[str, str, str], tuple[Path, dict[str, Any], str | None]] = {}
        for document in documents:
            for step in document["steps"]:
                for output, uri in step["outputs"].items():
                    path = Path(uri)
                    if described := metadata(path):
                        key = (described["step"], output, described.get("digest", ""))
                        self.found.setdefault(key, (path, described, maker(uri)))

    def get(self, step: str, output: str, digest: str | None) -> tuple[Path | None, dict[str, Any] | None, str | None]:
        """Path, metadata and run of an artifact; three None when no run has it."""
        return self.found.get((step, output, digest or ""), (None, None, None))
