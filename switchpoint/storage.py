"""Google Cloud Storage: list, digest, upload, download, publish. Checked by CRC32C, or a `StorageError`.

Credentials come from where google-cloud-storage takes them: Application Default Credentials, or none when
STORAGE_EMULATOR_HOST names another server. Transient failures are retried until nothing has moved for `DEADLINE`.
"""

import base64
import functools
import hashlib
import io
import json
import mimetypes
import re
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from switchpoint.errors import StorageError

T = TypeVar("T")

DEADLINE = 120.0  # seconds
FIRST_WAIT = 1.0  # seconds before the first retry; it doubles, up to LONGEST_WAIT
LONGEST_WAIT = 16.0
WORKERS = 8  # below the 10 connections that `requests` pools
SMALL = 8 * 2**20  # bytes; up to here the library sends a file in one request
BATCH = 64  # small files, or BATCH_BYTES of them, between two looks at the deadline and at errors
BATCH_BYTES = 64 * 2**20
CHUNK = 16 * 2**20  # bytes of a larger one in a request, in memory

Progress = Callable[[int, int, str], None]  # bytes done, bytes in total, object name; called from worker threads


class Object(NamedTuple):
    """One object as listed. `crc32c` is base64 as in the JSON API, `size` is in bytes."""

    name: str
    generation: int
    crc32c: str
    size: int


class Uploaded(NamedTuple):
    """Objects sent, skipped because they were there already, and others: below the prefix but not in the folder."""

    sent: int
    skipped: int
    others: int


def is_remote(uri: str) -> bool:
    """Whether `uri` names a bucket or an object."""
    return uri.startswith("gs://")


def parse(uri: str) -> tuple[str, str]:
    """Split gs://bucket/name; the name may be empty, or end in a slash to say "a prefix, not an object"."""
    match = re.fullmatch(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(.*))?", uri, re.DOTALL)
    if match is None:
        raise StorageError(
            f"{uri!r} is no address of an object. Write gs://BUCKET/NAME; a bucket's name has 3 or more of "
            "a-z, 0-9, '-', '_' and '.', and begins and ends with a letter or digit."
        )
    return match[1], match[2] or ""


def listing(uri: str) -> list[Object]:
    """The object `uri`, or else all objects below `uri`/, sorted by name; placeholders of empty folders left out."""
    bucket, name = parse(uri)
    fields = "name,generation,crc32c,size"
    with _plainly("list", uri, "storage.objects.list"):
        retry = {"retry": _Patience(uri), "timeout": _timeout()}
        if name and not name.endswith("/"):
            # A missing bucket gives None here, and the error below.
            blob = _client().bucket(bucket).get_blob(name, **retry)
            if blob is not None:
                return [Object(blob.name, blob.generation, blob.crc32c, blob.size)]
        prefix = _folder(name) or None
        blobs = _client().list_blobs(bucket, prefix=prefix, fields=f"items({fields}),nextPageToken", **retry)
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
    shown = _Shown(progress, sum(item.size for item in objects))
    try:
        with _plainly("read", uri, "storage.objects.get"):
            if not single:
                partial.mkdir(parents=True)
            for batch in _batches(list(zip(objects, paths, strict=True)), lambda pair: pair[0].size):
                _fetch(bucket, batch, shown)
            partial.replace(destination)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)
    return _digest(objects, name)


def upload(source: Path, uri: str, progress: Progress | None = None, *, replace: bool = True) -> Uploaded:
    """Copy a file to the object `uri` (below it, when it ends in a slash), or a folder's files to below `uri`/.

    Objects with the same CRC32C are left alone, so an upload that was interrupted goes on where it stopped. Symbolic
    links are followed, as a training run over the folder would; hidden files and folders are left out.

    Args:
        source: File or folder.
        uri: Where to.
        progress: Told of every piece.
        replace: Whether an object with other content is replaced; else that is an error.

    Raises:
        StorageError: Among others, a file that changed while it was read; its object is not there afterwards.
    """
    bucket, name = parse(uri)
    with _plainly("read", str(source), ""):
        if source.is_dir():
            found = [(path, _folder(name) + path.relative_to(source).as_posix()) for path in _files(source, ())]
        else:
            found = [(source, name if name and not name.endswith("/") else name + source.name)]
        files = [(path, target, path.stat().st_size) for path, target in found]
    if not files:
        raise StorageError(f"{source} holds no files, hidden ones aside. Name the folder that holds what to upload.")
    for path, target, _ in files:
        if re.search(r"[\r\n\ud800-\udfff]", target):
            raise StorageError(
                f"{str(path)!r} can't be an object's name: it has a line break or is no UTF-8. Rename it."
            )
    there = {item.name: item for item in listing(f"gs://{bucket}/{_folder(name) if source.is_dir() else files[0][1]}")}
    shown = _Shown(progress, sum(size for *_, size in files))
    sent = 0
    for batch in _batches(files, lambda file: file[2]):
        new, changed = [], []
        for path, target, _ in batch:
            with _plainly("read", str(path), ""):
                item = _Local(path, target, _state(path), _crc32c(path))
            if target not in there:
                new.append(item)
            elif there[target].crc32c == item.crc32c:
                shown.add(item.state[0], target)
            elif replace:
                changed.append(item)
            else:
                raise StorageError(f"gs://{bucket}/{target} exists with other content and is not replaced.")
        with _plainly("write", uri, "storage.objects.create"):
            _send(bucket, new, shown, skip_if_exists=True)
            _send(bucket, changed, shown, skip_if_exists=False)
        sent += len(new) + len(changed)
    return Uploaded(sent, len(files) - sent, len(there.keys() - {target for _, target, _ in files}))


def read_bytes(uri: str) -> tuple[bytes | None, int]:
    """An object's content and its generation; (None, 0) when there is no such object."""
    from google.api_core.exceptions import NotFound

    bucket, name = parse(uri)
    with _plainly("read", uri, "storage.objects.get"):
        blob = _client().bucket(bucket).blob(name)
        try:
            content = blob.download_as_bytes(retry=_Patience(uri), timeout=_timeout(), checksum="crc32c")
        except NotFound as error:
            _close(error)
            return None, 0
    return content, blob.generation


def write_bytes(uri: str, content: bytes, content_type: str, generation: int | None = None) -> None:
    """Write an object from memory; with `generation` only over that one (0: only when there is none).

    Raises:
        StorageError: Among others, someone else wrote it meanwhile.
    """
    from google.api_core.exceptions import PreconditionFailed

    bucket, name = parse(uri)
    keywords = {"retry": _Patience(uri), "timeout": _timeout(), "checksum": "crc32c", "if_generation_match": generation}
    try:
        with _plainly("write", uri, "storage.objects.create"):
            _client().bucket(bucket).blob(name).upload_from_string(content, content_type, **keywords)
    except StorageError as error:
        # When the answer to a write that succeeded is lost, the retry finds another generation: our own.
        if not isinstance(error.__cause__, PreconditionFailed) or read_bytes(uri)[0] != content:
            raise


def delete(uri: str) -> None:
    """Delete an object; one that is not there is no error."""
    from google.api_core.exceptions import NotFound

    bucket, name = parse(uri)
    with _plainly("delete", uri, "storage.objects.delete"), suppress(NotFound):
        _client().bucket(bucket).blob(name).delete(retry=_Patience(uri), timeout=_timeout())


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


def export(files: dict[str, Path], card: str, uri: str, version: str) -> dict[str, Any]:
    """Publish a model as `uri`/`version`/…, then point `uri`/latest.json to it: readers never see half a model.

    A version never changes: published again with the same content it is left as it is, with other content refused.

    Args:
        files: Name below the version → file.
        card: README.md, the model card.
        uri: gs://bucket/models/NAME.
        version: Letters, digits, '.', '_' and '-'.

    Returns:
        The pointer: `version`, and `files` with each name's `sha256`, `crc32c` and `size`.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", version):
        raise StorageError(f"The version is {version!r}; use letters, digits, '.', '_' and '-'.")
    base = uri.rstrip("/")
    _, generation = read_json(f"{base}/latest.json")
    pointer: dict[str, Any] = {"version": version, "files": {}}
    with tempfile.TemporaryDirectory() as folder:
        readme = Path(folder, "README.md")
        readme.write_text(card, encoding="utf-8")
        for name, path in sorted({**files, "README.md": readme}.items()):
            upload(path, f"{base}/{version}/{name}", replace=False)
            with path.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            pointer["files"][name] = {"sha256": sha256, "crc32c": _crc32c(path), "size": path.stat().st_size}
    write_json(f"{base}/latest.json", pointer, generation)
    return pointer


class _Local(NamedTuple):
    path: Path
    target: str
    state: tuple[int, int]
    crc32c: str


def _batches(items: Sequence[T], size: Callable[[T], int]) -> Iterator[list[T]]:
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


def _send(bucket: str, items: list[_Local], shown: "_Shown", *, skip_if_exists: bool) -> None:
    from google.api_core.exceptions import PreconditionFailed
    from google.cloud.storage import transfer_manager

    patience = _Patience(f"gs://{bucket}")
    # The CRC32C is declared before the bytes are read again to be sent (checksum=None keeps the library from putting
    # that of the second reading in its place): Cloud Storage then refuses to make an object of other bytes.
    keywords: dict[str, Any] = {"retry": patience, "timeout": _timeout(), "checksum": None}
    pairs: list[tuple[Any, Any]] = []
    with ExitStack() as opened:
        for item in items:
            blob = _client().bucket(bucket).blob(item.target, chunk_size=CHUNK)
            blob.crc32c = item.crc32c
            blob.content_type = mimetypes.guess_type(item.target)[0] or "application/octet-stream"
            if item.state[0] > SMALL:  # alone in its batch
                keywords["size"] = item.state[0]
                pairs.append((opened.enter_context(_Source(item, patience, shown)), blob))
            else:
                pairs.append((str(item.path), blob))
        results = transfer_manager.upload_many(
            pairs,
            upload_kwargs=keywords,
            skip_if_exists=skip_if_exists,
            worker_type=transfer_manager.THREAD,
            max_workers=WORKERS,
        )
    patience.moved()
    problems = []
    for item, (_, blob), error in zip(items, pairs, results, strict=True):
        existed = isinstance(error, PreconditionFailed)
        try:
            _check_sent(item, blob, None if existed else error, existed, patience)
        except Exception as problem:
            problems.append(problem)
        if item.state[0] <= SMALL:
            shown.add(item.state[0], item.target)
    if problems:
        raise problems[0]


def _check_sent(item: _Local, blob: Any, error: Exception | None, existed: bool, patience: "_Patience") -> None:
    from google.api_core.exceptions import NotFound

    uri = f"gs://{blob.bucket.name}/{item.target}"
    if existed:
        # Another writer's, or our own when the answer to the first attempt was lost.
        blob.reload(retry=patience, timeout=_timeout())
    changed = not item.path.exists() or _state(item.path) != item.state
    arrived = error is None and blob.crc32c == item.crc32c
    kept = f"{uri} was not kept. Upload it again."
    if error is None and not existed and (changed or not arrived):
        # fake-gcs-server compares no declared CRC32C; and a change after the last byte was read shows only now.
        try:
            with suppress(NotFound):  # when the answer to the first attempt was lost
                blob.delete(if_generation_match=blob.generation, retry=patience, timeout=_timeout())
        except Exception as problem:
            kept = f"{uri} is there with what was read, and could not be deleted: {problem}"
    if changed:
        raise StorageError(f"{item.path} changed while it was read; {kept}")
    if error is not None:
        raise error
    if not arrived and existed:
        raise StorageError(f"{uri} was written by someone else meanwhile, with other content than {item.path}.")
    if not arrived:
        raise StorageError(f"{item.path} did not arrive as it is (its CRC32C is {item.crc32c}); {kept}")


def _fetch(bucket: str, batch: list[tuple[Object, Path]], shown: "_Shown") -> None:
    from google.cloud.storage import transfer_manager

    patience = _Patience(f"gs://{bucket}")
    with ExitStack() as opened:
        pairs = []
        for item, path in batch:
            path.parent.mkdir(parents=True, exist_ok=True)
            blob = _client().bucket(bucket).blob(item.name, generation=item.generation)
            pairs.append((blob, opened.enter_context(_Sink(path, item, patience, shown))))
        results = transfer_manager.download_many(
            pairs,
            # raw: the bytes as stored, which are what the CRC32C is of. The library's own check is left out: it gives
            # up once a download that broke off was resumed, and compares with the answer's header, not the listing.
            download_kwargs={"retry": patience, "timeout": _timeout(), "checksum": None, "raw_download": True},
            worker_type=transfer_manager.THREAD,
            max_workers=WORKERS,
        )
    for error in results:
        _close(error)
    for (item, _), (_, sink), error in zip(batch, pairs, results, strict=True):
        uri = f"gs://{bucket}/{item.name}"
        with _plainly("read", uri, "storage.objects.get", missing="It was replaced or deleted meanwhile"):
            if error is not None:
                raise error
            if _base64(sink.checksum) != item.crc32c:
                raise StorageError(f"{uri} arrived damaged: its CRC32C is not {item.crc32c}. Download it again.")


class _Patience:
    """Retries what DEFAULT_RETRY retries, but counts the deadline from the last byte that moved, for all transfers."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.gone: StorageError | None = None
        self.moved()

    def moved(self) -> None:
        self.last = time.monotonic()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        from google.cloud.storage.retry import DEFAULT_RETRY

        if self.gone is not None:  # the rest of the batch need not wait again
            raise self.gone
        retry = DEFAULT_RETRY.with_timeout(None).with_delay(initial=FIRST_WAIT, maximum=LONGEST_WAIT)
        wrapped: Callable[..., Any] = retry(function, on_error=self._check)
        return wrapped

    def _check(self, error: Exception) -> None:
        _close(error)
        if time.monotonic() - self.last > DEADLINE:
            self.gone = StorageError(f"{self.uri}: no progress for {DEADLINE:g} seconds in spite of retries: {error}")
            raise self.gone from error


class _Shown:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done, self.lock = progress, total, 0, threading.Lock()

    def add(self, count: int, name: str) -> None:
        with self.lock:
            self.done += count
            if self.progress is not None:
                self.progress(self.done, self.total, name)


class _Source(io.FileIO):
    def __init__(self, item: _Local, patience: _Patience, shown: _Shown) -> None:
        super().__init__(item.path)
        self.item, self.patience, self.shown = item, patience, shown

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 0:
            self.patience.moved()  # the next chunk is read once the last was taken
        data = super().read(-1 if size is None else size) or b""
        self.shown.add(len(data), self.item.target)
        return data


class _Sink(io.BufferedWriter):
    def __init__(self, path: Path, item: Object, patience: _Patience, shown: _Shown) -> None:
        super().__init__(io.FileIO(path, "x"), 2**20)
        self.item, self.patience, self.shown, self.checksum = item, patience, shown, 0

    def write(self, data: Any, /) -> int:
        self.patience.moved()
        self.checksum = _extend(self.checksum, data)
        self.shown.add(len(data), self.item.name)
        return super().write(data)


@functools.cache
def _client() -> Any:
    from google.cloud.storage import Client

    return Client(project=None)  # a project is needed to make buckets only; a laptop's credentials often name none


@contextmanager
def _plainly(doing: str, uri: str, permission: str, missing: str = "The bucket does not exist") -> Iterator[None]:
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
        caller = said[1] if said else getattr(_client()._credentials, "service_account_email", None) or "The caller"
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


def _close(error: Exception | None) -> None:
    """Close the connection that the library leaves open when a streamed download is answered with an error."""
    response = getattr(error, "response", None)
    if response is not None:
        response.close()


def _timeout() -> float:
    return min(60.0, DEADLINE)


def _existing(uri: str) -> list[Object]:
    objects = listing(uri)
    if not objects:
        raise StorageError(f"There is no object {uri} and none below it.")
    return objects


def _digest(objects: list[Object], name: str) -> str:
    hashed = hashlib.sha256()
    for item in objects:
        relative = item.name.rpartition("/")[2] if item.name == name else item.name.removeprefix(_folder(name))
        hashed.update(json.dumps([relative, item.generation, item.crc32c]).encode() + b"\n")
    return hashed.hexdigest()


def _folder(name: str) -> str:
    return name if not name or name.endswith("/") else name + "/"


def _relative(name: str, prefix: str) -> str:
    relative = name.removeprefix(_folder(prefix))
    if "\0" in relative or any(part in ("", ".", "..") for part in relative.split("/")):
        raise StorageError(f"The object {name!r} can't be a file below the destination. Rename it in the bucket.")
    return relative


def _files(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:
        raise StorageError(f"{folder} is a symbolic link to a folder that holds it. Remove it.")
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        if path.is_dir():
            yield from _files(path, (*above, real))
        elif path.is_file():
            yield path
        else:
            raise StorageError(f"{path} is neither a file nor a folder: a broken symbolic link? Remove it.")


def _state(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in ns: when either differs, the file changed."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _crc32c(path: Path) -> str:
    checksum = 0
    with path.open("rb") as stream:
        while data := stream.read(2**20):
            checksum = _extend(checksum, data)
    return _base64(checksum)


def _extend(checksum: int, data: bytes) -> int:
    import google_crc32c

    return int(google_crc32c.extend(checksum, data))


def _base64(checksum: int) -> str:
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()
