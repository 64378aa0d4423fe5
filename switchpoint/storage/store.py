"""What the rest of the code asks of a store, whichever it is: `gcs.py` and `s3.py` are two of them.

A store's library is imported when an address of it is first used, not before.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from switchpoint.addresses import scheme
from switchpoint.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from switchpoint.storage.patience import Shown

Version = int | str  # a generation of Cloud Storage, an ETag of S3: another one when other content was written
NONE: Version = 0  # the version of what is not there


class ConflictError(StorageError):
    """Someone else wrote the object meanwhile: it has not the version that was to be replaced."""


class Object(NamedTuple):
    """One object as listed.

    `version` is what it is read and replaced by. `checksum` is of its content: base64 CRC32C in Cloud Storage, "" where
    the version is made of the content (S3's ETag). `size` is in bytes; `written` orders objects, newest last.
    """

    name: str
    version: Version
    checksum: str
    size: int
    written: float

    @property
    def content(self) -> tuple[Version, int]:
        """Equal for equal content that was sent in the same way."""
        return self.checksum or self.version, self.size


class Store(Protocol):
    """One kind of object storage. Addresses are whole URIs; everything else that fails is said by `plainly`."""

    def plainly(self, doing: str, uri: str, missing: str = ...) -> AbstractContextManager[None]:
        """Turn what the library raises into a `StorageError`: "Can't {doing} {uri}": list, read, write or delete."""

    def listing(self, uri: str, bucket: str, name: str) -> list[Object]:
        """The object of that name, or else all below it, in any order."""

    def fetch(self, place: str, batch: list[tuple[Object, Path]], shown: Shown) -> None:
        """Copy objects of `place` (scheme and bucket) to new files, in the versions listed, checked byte for byte."""

    def read(self, uri: str) -> tuple[bytes | None, Version]:
        """An object's content and version; (None, NONE) when there is none."""

    def write(self, uri: str, content: bytes, content_type: str, version: Version | None) -> None:
        """Write an object; with a version only over that one, else `ConflictError`."""

    def delete(self, uri: str) -> None:
        """Delete an object, if there is one."""

    def keeps_conditions(self, uri: str) -> bool:
        """Whether of two that write `uri` under the same condition one is refused; makes and removes that object."""


def store_of(uri: str) -> Store:
    """The store that an address is of."""
    return _store("gs" if scheme(uri) == "gs" else "s3")


@functools.cache
def _store(kind: str) -> Store:
    if kind == "gs":
        from switchpoint.storage.gcs import CloudStorage

        return CloudStorage()
    from switchpoint.storage.s3 import S3

    return S3()
