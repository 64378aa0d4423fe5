"""How Cloud Storage is talked to: credentials, patience, errors in this project's words, checksums.

Credentials come from where google-cloud-storage takes them: Application Default Credentials, or none when
STORAGE_EMULATOR_HOST names another server. Transient failures are retried until nothing has moved for `DEADLINE`.
"""

import base64
import functools
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from switchpoint.errors import StorageError

T = TypeVar("T")

DEADLINE = 120.0  # seconds
FIRST_WAIT = 1.0  # seconds before the first retry; it doubles, up to LONGEST_WAIT
LONGEST_WAIT = 16.0
WORKERS = 8  # below the 10 connections that `requests` pools
SMALL = 8 * 2**20  # bytes; up to here the library sends a file in one request
BATCH = 64  # small files, or BATCH_BYTES of them, between two looks at the deadline and at errors
BATCH_BYTES = 64 * 2**20

Progress = Callable[[int, int, str], None]  # bytes done, bytes in total, object name; called from worker threads


@functools.cache
def cloud_storage() -> Any:
    """google-cloud-storage's, one a process."""
    from google.cloud.storage import Client

    return Client(project=None)  # a project is needed to make buckets only; a laptop's credentials often name none


@contextmanager
def plainly(doing: str, uri: str, permission: str, missing: str = "The bucket does not exist") -> Iterator[None]:
    """Say the library's errors in this project's words."""
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    login = "Run: gcloud auth application-default login (or set GOOGLE_APPLICATION_CREDENTIALS to a key file)."
    try:
        yield
    except StorageError:
        raise
    except api.NotFound as error:
        raise StorageError(f"Can't {doing} {uri}. {missing}.") from error
    except api.Forbidden as error:
        said = re.search(r"([\w.+-]+@[\w.-]+|Anonymous caller) does not have (storage\.[\w.]+)", str(error))
        caller = (
            said[1] if said else getattr(cloud_storage()._credentials, "service_account_email", None) or "The caller"
        )
        right = said[2] if said else permission
        role = "objectViewer" if right in ("storage.objects.get", "storage.objects.list") else "objectUser"
        raise StorageError(
            f"{caller} may not {doing} {uri}: that needs the permission {right}, which roles/storage.{role} on the "
            f"bucket gives. Cloud Storage said: {error.message}"
        ) from error
    except (auth.DefaultCredentialsError, auth.RefreshError, api.Unauthorized) as error:
        raise StorageError(f"Can't {doing} {uri}: no valid Google credentials ({error}). {login}") from error
    except api.PreconditionFailed as error:
        raise StorageError(f"Can't {doing} {uri}: someone else wrote it meanwhile. Try again.") from error
    except Exception as error:
        # Cloud Storage's other refusals (400 with the reason), damaged downloads, files that can't be read or written.
        raise StorageError(f"Can't {doing} {uri}: {error}") from error


class Patience:
    """Retries what DEFAULT_RETRY retries, but counts the deadline from the last byte that moved, for all transfers."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.gone: StorageError | None = None
        self.moved()

    def moved(self) -> None:
        """A byte moved: count anew."""
        self.last = time.monotonic()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A request with retries, as google-cloud-storage takes its `retry`."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        if self.gone is not None:  # the rest of the batch need not wait again
            raise self.gone
        retry = DEFAULT_RETRY.with_timeout(None).with_delay(initial=FIRST_WAIT, maximum=LONGEST_WAIT)
        wrapped: Callable[..., Any] = retry(function, on_error=self._check)
        return wrapped

    def _check(self, error: Exception) -> None:
        close(error)
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


def close(error: Exception | None) -> None:
    """Close the connection that the library leaves open when a streamed download is answered with an error."""
    response = getattr(error, "response", None)
    if response is not None:
        response.close()


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
