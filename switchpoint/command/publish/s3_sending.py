"""Files to S3 and what speaks like it."""

import functools
import mimetypes
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from switchpoint.addresses import parse
from switchpoint.command.publish.sending import Local, Sent
from switchpoint.storage import NONE, Object, Version, etags, s3, s3_client, s3_errors
from switchpoint.storage.patience import SMALL, WORKERS, Shown
from switchpoint.storage.s3 import Retries


class S3Sending:
    """See `Sending`."""

    checksum_name = "ETag"

    def __init__(self, uri: str) -> None:
        self.client = s3_client.client(uri)

    def checksum(self, path: Path, uri: str, there: Object | None) -> str:
        """The ETag that the file gets when it is sent as here."""
        size = path.stat().st_size
        return etag(path, etags.part_size(size) if size > SMALL else 0)

    def is_same(self, item: Local, uri: str, there: Object) -> bool:
        """Compared as it was sent, which another program does in other parts; read, where its ETag says nothing."""
        if there.version == item.checksum:
            return True
        if there.size != item.state[0]:
            return False
        parts = s3.part_size(uri, there, Retries(uri))
        if parts:
            return etag(item.path, parts) == there.version
        bucket, name = parse(uri)
        ask = functools.partial(self.client.head_object, Bucket=bucket, Key=name)
        if parts == 0 and s3.comparable(Retries(uri)(ask)):
            return False
        return self._reads_as(item.path, uri)

    def _reads_as(self, path: Path, uri: str) -> bool:
        bucket, name = parse(uri)

        def get() -> bool:
            body = self.client.get_object(Bucket=bucket, Key=name)["Body"]
            with path.open("rb") as file:
                return all(piece == file.read(len(piece)) for piece in body.iter_chunks(s3.PIECE))

        return bool(Retries(uri)(get))

    def send(self, place: str, items: Sequence[Local], shown: Shown, *, new: bool) -> list[Sent]:
        """See `Sending`."""
        retries = Retries(place)
        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(lambda item: self._send(place, item, shown, retries, new), items))

    def _send(self, place: str, item: Local, shown: Shown, retries: Retries, new: bool) -> Sent:
        condition = s3.condition(NONE if new else None)
        where = {"Bucket": parse(place)[0], "Key": item.target}
        try:
            if item.state[0] > SMALL:
                answer = self._in_parts(where, item, shown, retries, condition)
            else:
                # Read anew for each attempt; the store refuses other bytes than those that the ETag was taken of.
                answer = retries(
                    lambda: self.client.put_object(
                        **where, **condition, **_kind(item), Body=item.path.read_bytes(), ContentMD5=_md5(item.checksum)
                    )
                )
                retries.moved()
        except Exception as error:
            if s3_errors.status(error) == 412 and new:
                return self._there(where, retries)
            # Refused for its MD5: it changed, or was damaged on its way. There is no object then.
            return Sent(None, checksum="") if s3_errors.code(error) in ("BadDigest", "InvalidDigest") else Sent(error)
        found = s3.tag(answer)
        return Sent(None, False, item.checksum if not s3.comparable(answer) else found, found)

    def _there(self, where: dict[str, str], retries: Retries) -> Sent:
        try:
            found = retries(lambda: self.client.head_object(**where))
        except Exception as problem:
            return Sent(problem)
        return Sent(None, True, s3.tag(found), s3.tag(found))

    def _in_parts(
        self, where: dict[str, str], item: Local, shown: Shown, retries: Retries, condition: dict[str, str]
    ) -> Any:
        """One after another, so that one part is in memory; the object is there once all are."""
        begun = retries(lambda: self.client.create_multipart_upload(**where, **_kind(item)))
        upload = where | {"UploadId": begun["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            with item.path.open("rb") as file:
                while data := file.read(etags.part_size(item.state[0])):
                    part = upload | {"PartNumber": len(parts) + 1}
                    send = functools.partial(self.client.upload_part, **part, Body=data, ContentMD5=s3.base64_md5(data))
                    parts.append({"PartNumber": part["PartNumber"], "ETag": retries(send)["ETag"]})
                    retries.moved()
                    shown.add(len(data), item.target)
            return retries(
                lambda: self.client.complete_multipart_upload(**upload, **condition, MultipartUpload={"Parts": parts})
            )
        except BaseException as error:
            if s3_errors.code(error) == "NoSuchUpload":
                # The first attempt to complete it came through, though its answer was lost.
                return retries(lambda: self.client.head_object(**where))
            with suppress(Exception):  # what is left of it costs room, nothing else
                self.client.abort_multipart_upload(**upload)
            raise

    def remove(self, uri: str, version: Version) -> None:
        """See `Sending`."""
        bucket, name = parse(uri)
        request = functools.partial(self.client.delete_object, Bucket=bucket, Key=name, IfMatch=s3.quoted(version))
        try:
            Retries(uri)(request)
        except Exception as error:
            if s3_errors.status(error) not in (404, 412):
                raise


def etag(path: Path, part_size: int) -> str:
    """A file's, sent in parts of so many bytes; 0: in one request."""
    found = etags.Etag(part_size or None)
    with path.open("rb") as stream:
        while data := stream.read(2**20):
            found.update(data)
    return found.value()


def _md5(etag: str) -> str:
    import base64

    return base64.b64encode(bytes.fromhex(etag)).decode()


def _kind(item: Local) -> dict[str, str]:
    return {"ContentType": mimetypes.guess_type(item.target)[0] or "application/octet-stream"}
