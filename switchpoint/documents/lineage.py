"""Where an artifact came from: the package says how to read them."""

from typing import Any, NotRequired, TypedDict

Parameters = dict[str, Any]  # by name; str, int, float, bool, list[int] or list[float]


class Entry(TypedDict):
    """An artifact's origin: the step that made it, its parameters, and the digest of each of its inputs."""

    step: str
    digest: str | None
    code_digest: str
    parameters: Parameters
    inputs: dict[str, str]


class RecordsEntry(Entry):
    """Records' origin; `photos` by split."""

    classes: NotRequired[list[str]]
    photos: NotRequired[dict[str, int]]


class CheckpointEntry(Entry):
    """The origin of the checkpoints that fine-tuning started from; `epoch_digest` is the head's."""

    epoch: int
    epoch_digest: str | None


class Lineage(TypedDict):
    """switchpoint.json in a model file: see `switchpoint.provenance.metadata.embed`."""

    format: NotRequired[int]
    model: Entry
    records: RecordsEntry
    checkpoints: NotRequired[CheckpointEntry]
    seal: NotRequired[str]
