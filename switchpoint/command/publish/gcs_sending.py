"""Files to Cloud Storage."""

import io
import mimetypes
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from switchpoint.addresses import parse
from switchpoint.command.publish.sending import Local, Sent
from switchpoint.storage import Object, Version
from switchpoint.storage.gcs import Retries, cloud_storage
from switchpoint.storage.patience import SMALL, WORKERS, Shown, extend, timeout, to_base64

CHUNK = 16 * 2**20  # bytes of a larger one in a request, in memory


class CloudStorageSending:
    """See `Sending`."""

    checksum_name = "CRC32C"

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def checksum(self, path: Path, uri: str, there: Object | None) -> str:
        """The CRC32C, whatever is there."""
        return crc32c(path)

    def is_same(self, item: Local, uri: str, there: Object) -> bool:
        """See `Sending`."""
        return there.checksum == item.checksum

    def send(self, place: str, items: Sequence[Local], shown: Shown, *, new: bool) -> list[Sent]:
        """See `Sending`."""
        from google.cloud.storage import transfer_manager

        retries = Retries(place)
        # The CRC32C is declared before the bytes are read again to be sent (checksum=None keeps the library from
        # putting that of the second reading in its place): Cloud Storage then refuses to make an object of other bytes.
        keywords: dict[str, Any] = {"retry": retries, "timeout": timeout(), "checksum": None}
        pairs: list[tuple[Any, Any]] = []
        with ExitStack() as opened:
            for item in items:
                blob = cloud_storage().bucket(parse(place)[0]).blob(item.target, chunk_size=CHUNK)
                blob.crc32c = item.checksum
                blob.content_type = mimetypes.guess_type(item.target)[0] or "application/octet-stream"
                if item.state[0] > SMALL:  # alone in its batch
                    keywords["size"] = item.state[0]
                    pairs.append((opened.enter_context(_Source(item, retries, shown)), blob))
                else:
                    pairs.append((str(item.path), blob))
            results = transfer_manager.upload_many(
                pairs,
                upload_kwargs=keywords,
                skip_if_exists=new,
                worker_type=transfer_manager.THREAD,
                max_workers=WORKERS,
            )
        retries.moved()
        return [self._sent(blob, error, retries) for (_, blob), error in zip(pairs, results, strict=True)]

    def _sent(self, blob: Any, error: Exception | None, retries: Retries) -> Sent:
        from google.api_core.exceptions import PreconditionFailed

        existed = isinstance(error, PreconditionFailed)
        if existed:
            try:
                blob.reload(retry=retries, timeout=timeout())
            except Exception as problem:
                return Sent(problem)
        elif error is not None:
            return Sent(error)
        return Sent(None, existed, blob.crc32c, blob.generation)

    def remove(self, uri: str, version: Version) -> None:
        """See `Sending`."""
        from google.api_core.exceptions import NotFound

        bucket, name = parse(uri)
        with suppress(NotFound):  # when the answer to the first attempt was lost
            blob = cloud_storage().bucket(bucket).blob(name)
            blob.delete(if_generation_match=version, retry=Retries(uri), timeout=timeout())


class _Source(io.FileIO):
    def __init__(self, item: Local, retries: Retries, shown: Shown) -> None:
        super().__init__(item.path)
        self.item, self.retries, self.shown = item, retries, shown

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 0:
            self.retries.moved()  # the next chunk is read once the last was taken
        data = super().read(-1 if size is None else size) or b""
        self.shown.add(len(data), self.item.target)
        return data


def crc32c(path: Path) -> str:
    """A file's, in base64."""
    checksum = 0
    with path.open("rb") as stream:
        while data := stream.read(2**20):
            checksum = extend(checksum, data)
    return to_base64(checksum)
