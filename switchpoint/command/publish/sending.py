"""What uploading asks of a store, whichever it is: `gcs_sending.py` and `s3_sending.py` are two of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from switchpoint.addresses import scheme
from switchpoint.storage import Object, Version
from switchpoint.storage.patience import Shown


class Local(NamedTuple):
    """A file to be sent: `state` is its size in bytes and its time of change in ns, `checksum` the store's of it."""

    path: Path
    target: str
    state: tuple[int, int]
    checksum: str


class Sent(NamedTuple):
    """What became of a file: an error, or the object that is there now.

    `existed`: there was one already, another writer's, or our own when the answer to the first attempt was lost.
    """

    error: Exception | None
    existed: bool = False
    checksum: str | None = None
    version: Version | None = None


class Sending(Protocol):
    """How files become objects."""

    checksum_name: str

    def checksum(self, path: Path, uri: str, there: Object | None) -> str:
        """The checksum that an object with the file's content has; `there` is what lies at `uri` now."""

    def is_same(self, item: Local, uri: str, there: Object) -> bool:
        """Whether the object has the file's content."""

    def send(self, place: str, items: Sequence[Local], shown: Shown, *, new: bool) -> list[Sent]:
        """Make an object of each, which the store refuses if it gets other bytes than those of the checksum.

        Args:
            place: Scheme and bucket.
            items: Small ones, or a single large one.
            shown: Told of what was sent.
            new: Whether an object that is there already is left as it is.
        """

    def remove(self, uri: str, version: Version) -> None:
        """Delete an object in that version, if it is there."""


def sending(uri: str) -> Sending:
    """For the store that an address is of; its library is imported here."""
    if scheme(uri) == "gs":
        from switchpoint.command.publish.gcs_sending import CloudStorageSending

        return CloudStorageSending(uri)
    from switchpoint.command.publish.s3_sending import S3Sending

    return S3Sending(uri)
