"""Objects in Cloud Storage: list, digest, download, read, write. Checked by CRC32C, or a `StorageError`.

What only the command does (upload, export) is in `switchpoint/command/publish`: this is in the images.
"""

import hashlib
import io
import json
import shutil
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from switchpoint.addresses import parse
from switchpoint.errors import StorageError
from switchpoint.storage.client import (
    WORKERS,
    Patience,
    Progress,
    Shown,
    batches,
    close,
    cloud_storage,
    extend,
    plainly,
    timeout,
    to_base64,
)


class Object(NamedTuple):
    """One object as listed. `crc32c` is base64 as in the JSON API, `size` is in bytes."""

    name: str
    generation: int
    crc32c: str
    size: int


def listing(uri: str) -> list[Object]:
    """The object `uri`, or else all objects below `uri`/, sorted by name; placeholders of empty folders left out."""
    bucket, name = parse(uri)
    fields = "name,generation,crc32c,size"
    with plainly("list", uri, "storage.objects.list"):
        retry = {"retry": Patience(uri), "timeout": timeout()}
        if name and not name.endswith("/"):
            # A missing bucket gives None here, and the error below.
            blob = cloud_storage().bucket(bucket).get_blob(name, **retry)
            if blob is not None:
                return [Object(blob.name, blob.generation, blob.crc32c, blob.size)]
        prefix = folder(name) or None
        blobs = cloud_storage().list_blobs(bucket, prefix=prefix, fields=f"items({fields}),nextPageToken", **retry)
        objects = [Object(blob.name, blob.generation, blob.crc32c, blob.size) for blob in blobs]
    return sorted((item for item in objects if not item.name.endswith("/")), key=lambda item: item.name)


def digest(uri: str) -> str:
    """Hex SHA-256 of what is at or below `uri`: names, generations and CRC32Cs, without reading the objects."""
    return _digest(_existing(uri), parse(uri)[1])


def download(uri: str, destination: Path, progress: Progress | None = None) -> str:
    """Copy an object to the file `destination`, or what is below a prefix to the folder `destination`.

    Nothing appears at `destination` before every byte agrees with the CRC32Cs listed. The generations listed are the
    ones read, so that the result is one state of the bucket, or an error when that changes meanwhile.

    Returns:
        The `digest` of what was copied.
    """
    bucket, name = parse(uri)
    objects = _existing(uri)
    single = objects[0].name == name
    if not single and destination.exists() and (destination.is_file() or any(destination.iterdir())):
        raise StorageError(f"{destination} exists and is not an empty folder. Remove it or name another.")
    partial = destination.with_name(f".{destination.name}.{uuid.uuid4().hex[:8]}.partial")
    paths = [partial if single else partial / _relative(item.name, name) for item in objects]
    shown = Shown(progress, sum(item.size for item in objects))
    try:
        with plainly("read", uri, "storage.objects.get"):
            if not single:
                partial.mkdir(parents=True)
            for batch in batches(list(zip(objects, paths, strict=True)), lambda pair: pair[0].size):
                _fetch(bucket, batch, shown)
            partial.replace(destination)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)
    return _digest(objects, name)


def read_bytes(uri: str) -> tuple[bytes | None, int]:
    """An object's content and its generation; (None, 0) when there is no such object."""
    from google.api_core.exceptions import NotFound

    bucket, name = parse(uri)
    with plainly("read", uri, "storage.objects.get"):
        blob = cloud_storage().bucket(bucket).blob(name)
        try:
            content = blob.download_as_bytes(retry=Patience(uri), timeout=timeout(), checksum="crc32c")
        except NotFound as error:
            close(error)
            return None, 0
    return content, blob.generation


def write_bytes(uri: str, content: bytes, content_type: str, generation: int | None = None) -> None:
    """Write an object from memory; with `generation` only over that one (0: only when there is none).

    Raises:
        StorageError: Among others, someone else wrote it meanwhile.
    """
    from google.api_core.exceptions import PreconditionFailed

    bucket, name = parse(uri)
    keywords = {"retry": Patience(uri), "timeout": timeout(), "checksum": "crc32c", "if_generation_match": generation}
    try:
        with plainly("write", uri, "storage.objects.create"):
            cloud_storage().bucket(bucket).blob(name).upload_from_string(content, content_type, **keywords)
    except StorageError as error:
        # When the answer to a write that succeeded is lost, the retry finds another generation: our own.
        if not isinstance(error.__cause__, PreconditionFailed) or read_bytes(uri)[0] != content:
            raise


def delete(uri: str) -> None:
    """Delete an object; one that is not there is no error."""
    from google.api_core.exceptions import NotFound

    bucket, name = parse(uri)
    with plainly("delete", uri, "storage.objects.delete"), suppress(NotFound):
        cloud_storage().bucket(bucket).blob(name).delete(retry=Patience(uri), timeout=timeout())


def read_json(uri: str) -> tuple[Any, int]:
    """The value in a JSON object and its generation; (None, 0) when there is no such object."""
    text, generation = read_bytes(uri)
    try:
        return (None if text is None else json.loads(text)), generation
    except ValueError as error:
        raise StorageError(f"{uri} is not JSON: {error}") from error


def write_json(uri: str, value: Any, generation: int | None = None) -> None:
    """Write a small JSON object; with `generation` (from `read_json`) only over that one, else `StorageError`."""
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    write_bytes(uri, text.encode(), "application/json", generation)


def folder(name: str) -> str:
    """A name as a prefix: it ends in a slash, unless it is empty."""
    return name if not name or name.endswith("/") else name + "/"


def _existing(uri: str) -> list[Object]:
    objects = listing(uri)
    if not objects:
        raise StorageError(f"There is no object {uri} and none below it.")
    return objects


def _digest(objects: list[Object], name: str) -> str:
    hashed = hashlib.sha256()
    for item in objects:
        relative = item.name.rpartition("/")[2] if item.name == name else item.name.removeprefix(folder(name))
        hashed.update(json.dumps([relative, item.generation, item.crc32c]).encode() + b"\n")
    return hashed.hexdigest()


def _relative(name: str, prefix: str) -> str:
    relative = name.removeprefix(folder(prefix))
    if "\0" in relative or any(part in ("", ".", "..") for part in relative.split("/")):
        raise StorageError(f"The object {name!r} can't be a file below the destination. Rename it in the bucket.")
    return relative


def _fetch(bucket: str, batch: list[tuple[Object, Path]], shown: "Shown") -> None:
    from google.cloud.storage import transfer_manager

    patience = Patience(f"gs://{bucket}")
    with ExitStack() as opened:
        pairs = []
        for item, path in batch:
            path.parent.mkdir(parents=True, exist_ok=True)
            blob = cloud_storage().bucket(bucket).blob(item.name, generation=item.generation)
            pairs.append((blob, opened.enter_context(_Sink(path, item, patience, shown))))
        results = transfer_manager.download_many(
            pairs,
            # raw: the bytes as stored, which are what the CRC32C is of. The library's own check is left out: it gives
            # up once a download that broke off was resumed, and compares with the answer's header, not the listing.
            download_kwargs={"retry": patience, "timeout": timeout(), "checksum": None, "raw_download": True},
            worker_type=transfer_manager.THREAD,
            max_workers=WORKERS,
        )
    for error in results:
        close(error)
    for (item, _), (_, sink), error in zip(batch, pairs, results, strict=True):
        uri = f"gs://{bucket}/{item.name}"
        with plainly("read", uri, "storage.objects.get", missing="It was replaced or deleted meanwhile"):
            if error is not None:
                raise error
            if to_base64(sink.checksum) != item.crc32c:
                raise StorageError(f"{uri} arrived damaged: its CRC32C is not {item.crc32c}. Download it again.")


class _Sink(io.BufferedWriter):
    def __init__(self, path: Path, item: Object, patience: Patience, shown: Shown) -> None:
        super().__init__(io.FileIO(path, "x"), 2**20)
        self.item, self.patience, self.shown, self.checksum = item, patience, shown, 0

    def write(self, data: Any, /) -> int:
        self.patience.moved()
        self.checksum = extend(self.checksum, data)
        self.shown.add(len(data), self.item.name)
        return super().write(data)
