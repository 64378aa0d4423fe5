"""S3 and what speaks like it, SeaweedFS and MinIO among them (s3://, minio://), over boto3: how objects are treated.

Where a store is and who asks: `s3_client.py`.
"""

import base64
import functools
import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from switchpoint.addresses import parse
from switchpoint.errors import LostError, StorageError
from switchpoint.storage import etags, s3_errors
from switchpoint.storage import patience as waiting
from switchpoint.storage.patience import WORKERS, Patience, Shown
from switchpoint.storage.s3_client import client, endpoint
from switchpoint.storage.store import NONE, ConflictError, Object, Version

T = TypeVar("T")

PIECE = 2**20  # bytes read from a connection at once
FIRST_DEADLINE = 15.0  # seconds for an endpoint that never answered: more likely its address is wrong


class Retries(Patience):
    """Tries again what may pass, with this project's deadline."""

    heard = False  # of all: whether the server ever answered this process

    def __call__(self, request: Callable[[], T]) -> T:
        """The request's answer."""
        wait = waiting.FIRST_WAIT
        while True:
            self.go_on()
            try:
                answer = request()
                Retries.heard = True
                return answer
            except Exception as error:
                if not s3_errors.passes(error):
                    raise
                self._check(error)
            time.sleep(wait)
            wait = min(2 * wait, waiting.LONGEST_WAIT)

    def go_on(self) -> None:
        """Raise if the rest of the batch has been given up."""
        if self.gone is not None:
            raise self.gone

    def _check(self, error: Exception) -> None:
        late = time.monotonic() - self.last > min(FIRST_DEADLINE, waiting.DEADLINE)
        if s3_errors.unreached(error) and not self.heard and late:
            self.gone = StorageError(
                f"Can't reach {self.uri}: {endpoint(self.uri)} does not answer ({error}). Check AWS_ENDPOINT_URL. "
                f"{s3_errors.FORWARD}"
            )
            raise self.gone from error
        self.check(error)


class S3:
    """See `Store`."""

    @contextmanager
    def plainly(self, doing: str, uri: str, missing: str = "The bucket does not exist") -> Iterator[None]:
        """Say the library's errors in this project's words."""
        try:
            yield
        except StorageError:
            raise
        except Exception as error:
            raise s3_errors.said(error, doing, uri, missing, endpoint(uri)) from error

    def listing(self, uri: str, bucket: str, name: str) -> list[Object]:
        """See `Store`."""
        retries = Retries(uri)
        if name and not name.endswith("/") and (found := _head(uri, bucket, name, retries)):
            return [found]
        prefix = name + "/" if name and not name.endswith("/") else name
        objects: list[Object] = []
        token: dict[str, str] = {}
        while True:
            page = retries(functools.partial(client(uri).list_objects_v2, Bucket=bucket, Prefix=prefix, **token))
            retries.moved()
            objects += [
                Object(item["Key"], tag(item), "", item["Size"], item["LastModified"].timestamp())
                for item in page.get("Contents", ())
            ]
            if not page.get("IsTruncated"):
                return objects
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def fetch(self, place: str, batch: list[tuple[Object, Path]], shown: Shown) -> None:
        """See `Store`."""
        client(place)
        retries = Retries(place)
        with ThreadPoolExecutor(WORKERS) as pool:
            waited = [pool.submit(self._fetch, place, item, path, retries, shown) for item, path in batch]
            try:
                for each in waited:
                    each.result()
            except BaseException:
                retries.gone = retries.gone or StorageError(f"{place}: given up.")  # the others stop at the next piece
                raise

    def _fetch(self, place: str, item: Object, path: Path, retries: Retries, shown: Shown) -> None:
        uri = f"{place}/{item.name}"
        with self.plainly("read", uri, missing="It was replaced or deleted meanwhile"):
            size = part_size(uri, item, retries)
            download = _Download(uri, item, etags.Etag(size or None), shown, retries)
            with path.open("xb") as file:
                while not retries(functools.partial(download.go_on, file)):
                    pass
            known = size is not None and download.comparable
            if known and download.etag.value() != item.version:
                raise LostError(f"{uri} arrived damaged: its ETag is not {item.version}. Download it again.")

    def read(self, uri: str) -> tuple[bytes | None, Version]:
        """See `Store`."""
        bucket, name = parse(uri)
        retries = Retries(uri)

        def get() -> tuple[bytes | None, Version]:
            answer = client(uri).get_object(Bucket=bucket, Key=name)
            with closing(answer["Body"]) as body:
                content = body.read()
            found = tag(answer)
            if etags.count(found) == 0 and comparable(answer) and md5(content).hexdigest() != found:
                raise LostError(f"{uri} arrived damaged: its ETag is not {found}. Try again.")
            return content, found

        try:
            return retries(get)
        except Exception as error:
            if s3_errors.code(error) == "NoSuchKey":
                return None, NONE
            raise

    def write(self, uri: str, content: bytes, content_type: str, version: Version | None) -> None:
        """See `Store`."""
        bucket, name = parse(uri)
        keywords = {"Body": content, "ContentType": content_type, "ContentMD5": base64_md5(content)}
        keywords |= condition(version)
        Retries(uri)(functools.partial(client(uri).put_object, Bucket=bucket, Key=name, **keywords))

    def delete(self, uri: str) -> None:
        """See `Store`."""
        bucket, name = parse(uri)
        try:
            Retries(uri)(functools.partial(client(uri).delete_object, Bucket=bucket, Key=name))
        except Exception as error:
            if s3_errors.code(error) != "NoSuchKey":
                raise

    def keeps_conditions(self, uri: str) -> bool:
        """S3 has conditions on writes since 2024; a server from before that may take any write, or knows none.

        A lock needs both: to be the first, and to replace what was read.
        """
        with self.plainly("write", uri):
            self.write(uri, b"1", "text/plain", None)
        try:
            return all(self._refuses(uri, version) for version in (NONE, "0" * 32))
        finally:
            self.delete(uri)

    def _refuses(self, uri: str, version: Version) -> bool:
        """Whether a write is refused whose condition does not hold."""
        try:
            with self.plainly("write", uri):
                self.write(uri, uuid.uuid4().hex.encode(), "text/plain", version)
        except ConflictError:
            return True
        except StorageError as error:
            if error.__cause__ is None or s3_errors.status(error.__cause__) != 501:
                raise
        return False


class _Download:
    """One object on its way into a file; what breaks off goes on where it stopped, in the same version."""

    def __init__(self, uri: str, item: Object, etag: etags.Etag, shown: Shown, retries: Retries) -> None:
        self.uri, self.item, self.etag, self.shown, self.retries = uri, item, etag, shown, retries
        self.done = 0
        self.comparable = True

    def go_on(self, file: Any) -> bool:
        """Read what is still to come; True when all is there."""
        bucket, name = parse(self.uri)
        part = {"Range": f"bytes={self.done}-"} if self.done else {}
        answer = client(self.uri).get_object(Bucket=bucket, Key=name, IfMatch=quoted(self.item.version), **part)
        self.comparable = self.comparable and comparable(answer)
        with closing(answer["Body"]) as body:
            if part and answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
                raise StorageError(f"{endpoint(self.uri)} can't read from the middle of {self.uri}. Download it again.")
            for data in body.iter_chunks(PIECE):
                self.retries.go_on()
                file.write(data)
                self.etag.update(data)
                self.done += len(data)
                self.retries.moved()
                self.shown.add(len(data), self.item.name)
        return self.done >= self.item.size


def _head(uri: str, bucket: str, name: str, retries: Retries) -> Object | None:
    """The object of that name. A refusal says nothing: who may not look at it gets the listing's, which has words."""
    try:
        found = retries(functools.partial(client(uri).head_object, Bucket=bucket, Key=name))
    except Exception as error:
        if s3_errors.status(error) in (403, 404):
            return None
        raise
    return Object(name, tag(found), "", found["ContentLength"], found["LastModified"].timestamp())


def part_size(uri: str, item: Object, retries: Retries) -> int | None:
    """Bytes of the parts that an object was sent in; 0: it was sent in one request; None: that can't be known."""
    sent = etags.count(str(item.version))
    if not sent:
        return sent
    bucket, name = parse(uri)
    request = functools.partial(client(uri).head_object, Bucket=bucket, Key=name, PartNumber=1)
    try:
        size = int(retries(request)["ContentLength"])
    except Exception as error:
        if s3_errors.status(error) in (400, 404, 416, 501):
            return None
        raise
    return size if size and -(-item.size // size) == sent else None


def condition(version: Version | None) -> dict[str, str]:
    """The keyword of a write that is to replace that version only."""
    if version is None:
        return {}
    return {"IfNoneMatch": "*"} if version == NONE else {"IfMatch": quoted(version)}


def comparable(answer: Any) -> bool:
    """Whether an object's ETag is made of its bytes: not where a key encrypts it that is not the store's own."""
    return answer.get("ServerSideEncryption") in (None, "AES256") and not answer.get("SSECustomerAlgorithm")


def tag(answer: Any) -> str:
    """The ETag in an answer, without its quotes."""
    return str(answer["ETag"]).strip('"')


def quoted(version: Version) -> str:
    """An ETag as a header has it."""
    return f'"{version}"'


def md5(content: bytes) -> Any:
    """For a checksum, not for security."""
    return hashlib.md5(content, usedforsecurity=False)


def base64_md5(content: bytes) -> str:
    """As the header Content-MD5 has it: the store refuses other bytes."""
    return base64.b64encode(md5(content).digest()).decode()
