"""Cloud Storage (gs://), over google-cloud-storage.

Credentials come from where that library takes them: Application Default Credentials, or none when
STORAGE_EMULATOR_HOST names another server.
"""

import functools
import io
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from switchpoint.addresses import parse
from switchpoint.errors import LostError, StorageError
from switchpoint.storage import patience as waiting
from switchpoint.storage.patience import WORKERS, Patience, Shown, extend, timeout, to_base64
from switchpoint.storage.store import NONE, ConflictError, Object, Version

RIGHTS = {
    "list": "storage.objects.list",
    "read": "storage.objects.get",
    "write": "storage.objects.create",
    "delete": "storage.objects.delete",
}


@functools.cache
def cloud_storage() -> Any:
    """google-cloud-storage's, one a process."""
    from google.cloud.storage import Client

    return Client(project=None)  # a project is needed to make buckets only; a laptop's credentials often name none


class Retries(Patience):
    """Retries what DEFAULT_RETRY retries, with this project's deadline."""

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A request with retries, as google-cloud-storage takes its `retry`."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        if self.gone is not None:
            raise self.gone
        first, longest = waiting.FIRST_WAIT, waiting.LONGEST_WAIT
        retry = DEFAULT_RETRY.with_timeout(None).with_delay(initial=first, maximum=longest)
        wrapped: Callable[..., Any] = retry(function, on_error=self._check)
        return wrapped

    def _check(self, error: Exception) -> None:
        close(error)
        self.check(error)


class CloudStorage:
    """See `Store`."""

    @contextmanager
    def plainly(self, doing: str, uri: str, missing: str = "The bucket does not exist") -> Iterator[None]:
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
            raise StorageError(_forbidden(doing, uri, error)) from error
        except (auth.DefaultCredentialsError, auth.RefreshError, api.Unauthorized) as error:
            raise StorageError(f"Can't {doing} {uri}: no valid Google credentials ({error}). {login}") from error
        except api.PreconditionFailed as error:
            raise ConflictError(f"Can't {doing} {uri}: someone else wrote it meanwhile. Try again.") from error
        except Exception as error:
            # Its other refusals (400 with the reason), damaged downloads, files that can't be read or written.
            raise StorageError(f"Can't {doing} {uri}: {error}") from error

    def listing(self, uri: str, bucket: str, name: str) -> list[Object]:
        """See `Store`."""
        fields = "name,generation,crc32c,size"
        retry = {"retry": Retries(uri), "timeout": timeout()}
        if name and not name.endswith("/"):
            # A missing bucket gives None here, and the error below.
            blob = cloud_storage().bucket(bucket).get_blob(name, **retry)
            if blob is not None:
                return [_object(blob)]
        prefix = name + "/" if name and not name.endswith("/") else name or None
        blobs = cloud_storage().list_blobs(bucket, prefix=prefix, fields=f"items({fields}),nextPageToken", **retry)
        return [_object(blob) for blob in blobs]

    def fetch(self, place: str, batch: list[tuple[Object, Path]], shown: Shown) -> None:
        """See `Store`."""
        from google.cloud.storage import transfer_manager

        retries = Retries(place)
        bucket = cloud_storage().bucket(parse(place)[0])
        with ExitStack() as opened:
            pairs = []
            for item, path in batch:
                blob = bucket.blob(item.name, generation=item.version)
                pairs.append((blob, opened.enter_context(_Sink(path, item, retries, shown))))
            results = transfer_manager.download_many(
                pairs,
                # raw: the bytes as stored, which are what the CRC32C is of. The library's own check is left out: it
                # gives up once a download that broke off was resumed, and compares with the answer's header, not the
                # listing.
                download_kwargs={"retry": retries, "timeout": timeout(), "checksum": None, "raw_download": True},
                worker_type=transfer_manager.THREAD,
                max_workers=WORKERS,
            )
        for error in results:
            close(error)
        for (item, _), (_, sink), error in zip(batch, pairs, results, strict=True):
            uri = f"{place}/{item.name}"
            with self.plainly("read", uri, missing="It was replaced or deleted meanwhile"):
                if error is not None:
                    raise error
                if to_base64(sink.checksum) != item.checksum:
                    raise LostError(f"{uri} arrived damaged: its CRC32C is not {item.checksum}. Download it again.")

    def read(self, uri: str) -> tuple[bytes | None, Version]:
        """See `Store`."""
        from google.api_core.exceptions import NotFound

        bucket, name = parse(uri)
        blob = cloud_storage().bucket(bucket).blob(name)
        try:
            content = blob.download_as_bytes(retry=Retries(uri), timeout=timeout(), checksum="crc32c")
        except NotFound as error:
            close(error)
            return None, NONE
        return content, blob.generation

    def write(self, uri: str, content: bytes, content_type: str, version: Version | None) -> None:
        """See `Store`."""
        bucket, name = parse(uri)
        keywords = {"retry": Retries(uri), "timeout": timeout(), "checksum": "crc32c", "if_generation_match": version}
        cloud_storage().bucket(bucket).blob(name).upload_from_string(content, content_type, **keywords)

    def delete(self, uri: str) -> None:
        """See `Store`."""
        from google.api_core.exceptions import NotFound

        bucket, name = parse(uri)
        with suppress(NotFound):
            cloud_storage().bucket(bucket).blob(name).delete(retry=Retries(uri), timeout=timeout())

    def keeps_conditions(self, uri: str) -> bool:
        """Cloud Storage does."""
        return True


def _object(blob: Any) -> Object:
    return Object(blob.name, blob.generation, blob.crc32c, blob.size, blob.generation)  # generations grow with time


def _forbidden(doing: str, uri: str, error: Any) -> str:
    said = re.search(r"([\w.+-]+@[\w.-]+|Anonymous caller) does not have (storage\.[\w.]+)", str(error))
    caller = said[1] if said else getattr(cloud_storage()._credentials, "service_account_email", None) or "The caller"
    right = said[2] if said else RIGHTS[doing]
    role = "objectViewer" if right in ("storage.objects.get", "storage.objects.list") else "objectUser"
    return (
        f"{caller} may not {doing} {uri}: that needs the permission {right}, which roles/storage.{role} on the "
        f"bucket gives. Cloud Storage said: {error.message}"
    )


def close(error: Exception | None) -> None:
    """Close the connection that the library leaves open when a streamed download is answered with an error."""
    response = getattr(error, "response", None)
    if response is not None:
        response.close()


class _Sink(io.BufferedWriter):
    def __init__(self, path: Path, item: Object, retries: Retries, shown: Shown) -> None:
        super().__init__(io.FileIO(path, "x"), 2**20)
        self.item, self.retries, self.shown, self.checksum = item, retries, shown, 0

    def write(self, data: Any, /) -> int:
        self.retries.moved()
        self.checksum = extend(self.checksum, data)
        self.shown.add(len(data), self.item.name)
        return super().write(data)
