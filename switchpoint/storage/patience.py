"""How long a store is waited for, and how bytes are counted: what both stores share.

Transient failures are retried until nothing has moved for `DEADLINE`.
"""

import base64
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from switchpoint.errors import StorageError

T = TypeVar("T")

DEADLINE = 120.0  # seconds
FIRST_WAIT = 1.0  # seconds before the first retry; it doubles, up to LONGEST_WAIT
LONGEST_WAIT = 16.0
WORKERS = 8  # below the 10 connections that both libraries pool
SMALL = 8 * 2**20  # bytes; up to here a file is sent in one request
BATCH = 64  # small files, or BATCH_BYTES of them, between two looks at the deadline and at errors
BATCH_BYTES = 64 * 2**20

Progress = Callable[[int, int, str], None]  # bytes done, bytes in total, object name; called from worker threads


class Patience:
    """Counts the deadline from the last byte that moved, for all transfers of a batch."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.gone: StorageError | None = None
        self.moved()

    def moved(self) -> None:
        """A byte moved: count anew."""
        self.last = time.monotonic()

    def check(self, error: Exception) -> None:
        """After a failure that may pass: raise when nothing has moved for too long."""
        if self.gone is not None:  # the rest of the batch need not wait again
            raise self.gone
        if time.monotonic() - self.last > DEADLINE:
            self.gone = StorageError(f"{self.uri}: no progress for {DEADLINE:g} seconds in spite of retries: {error}")
            raise self.gone from error


class Shown:
    """Adds up the bytes of several threads for who wants to be told of them."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done, self.lock = progress, total, 0, threading.Lock()

    def add(self, count: int, name: str) -> None:
        """`count` more bytes of an object."""
        with self.lock:
            self.done += count
            if self.progress is not None:
                self.progress(self.done, self.total, name)


def batches(items: Sequence[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Small ones together, and each large one alone."""
    batch: list[T] = []
    for item in items:
        if size(item) > SMALL:
            yield [item]
            continue
        batch.append(item)
        if len(batch) == BATCH or sum(map(size, batch)) > BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def timeout() -> float:
    """Seconds without an answer after which a request is tried again."""
    return min(60.0, DEADLINE)


def extend(checksum: int, data: bytes) -> int:
    """The CRC32C of all before and `data`."""
    import google_crc32c

    return int(google_crc32c.extend(checksum, data))


def to_base64(checksum: int) -> str:
    """A CRC32C as Cloud Storage writes it."""
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()
