"""Copy files of this machine to Cloud Storage: what is there already is not sent again."""

import io
import mimetypes
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from switchpoint.addresses import parse
from switchpoint.errors import StorageError
from switchpoint.storage import folder, listing
from switchpoint.storage.client import (
    SMALL,
    WORKERS,
    Patience,
    Progress,
    Shown,
    batches,
    cloud_storage,
    extend,
    plainly,
    timeout,
    to_base64,
)

CHUNK = 16 * 2**20  # bytes of a larger one in a request, in memory


class Uploaded(NamedTuple):
    """Objects sent, skipped because they were there already, and others: below the prefix but not in the folder."""

    sent: int
    skipped: int
    others: int


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
    with plainly("read", str(source), ""):
        if source.is_dir():
            found = [(path, folder(name) + path.relative_to(source).as_posix()) for path in _files(source, ())]
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
    there = {item.name: item for item in listing(f"gs://{bucket}/{folder(name) if source.is_dir() else files[0][1]}")}
    shown = Shown(progress, sum(size for *_, size in files))
    sent = 0
    for batch in batches(files, lambda file: file[2]):
        new, changed = [], []
        for path, target, _ in batch:
            with plainly("read", str(path), ""):
                item = _Local(path, target, _state(path), crc32c(path))
            if target not in there:
                new.append(item)
            elif there[target].crc32c == item.crc32c:
                shown.add(item.state[0], target)
            elif replace:
                changed.append(item)
            else:
                raise StorageError(f"gs://{bucket}/{target} exists with other content and is not replaced.")
        with plainly("write", uri, "storage.objects.create"):
            _send(bucket, new, shown, skip_if_exists=True)
            _send(bucket, changed, shown, skip_if_exists=False)
        sent += len(new) + len(changed)
    return Uploaded(sent, len(files) - sent, len(there.keys() - {target for _, target, _ in files}))


class _Local(NamedTuple):
    path: Path
    target: str
    state: tuple[int, int]
    crc32c: str


def _send(bucket: str, items: list[_Local], shown: "Shown", *, skip_if_exists: bool) -> None:
    from google.api_core.exceptions import PreconditionFailed
    from google.cloud.storage import transfer_manager

    patience = Patience(f"gs://{bucket}")
    # The CRC32C is declared before the bytes are read again to be sent (checksum=None keeps the library from putting
    # that of the second reading in its place): Cloud Storage then refuses to make an object of other bytes.
    keywords: dict[str, Any] = {"retry": patience, "timeout": timeout(), "checksum": None}
    pairs: list[tuple[Any, Any]] = []
    with ExitStack() as opened:
        for item in items:
            blob = cloud_storage().bucket(bucket).blob(item.target, chunk_size=CHUNK)
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


def _check_sent(item: _Local, blob: Any, error: Exception | None, existed: bool, patience: "Patience") -> None:
    from google.api_core.exceptions import NotFound

    uri = f"gs://{blob.bucket.name}/{item.target}"
    if existed:
        # Another writer's, or our own when the answer to the first attempt was lost.
        blob.reload(retry=patience, timeout=timeout())
    changed = not item.path.exists() or _state(item.path) != item.state
    arrived = error is None and blob.crc32c == item.crc32c
    kept = f"{uri} was not kept. Upload it again."
    if error is None and not existed and (changed or not arrived):
        # fake-gcs-server compares no declared CRC32C; and a change after the last byte was read shows only now.
        try:
            with suppress(NotFound):  # when the answer to the first attempt was lost
                blob.delete(if_generation_match=blob.generation, retry=patience, timeout=timeout())
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


class _Source(io.FileIO):
    def __init__(self, item: _Local, patience: Patience, shown: Shown) -> None:
        super().__init__(item.path)
        self.item, self.patience, self.shown = item, patience, shown

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 0:
            self.patience.moved()  # the next chunk is read once the last was taken
        data = super().read(-1 if size is None else size) or b""
        self.shown.add(len(data), self.item.target)
        return data


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


def crc32c(path: Path) -> str:
    """A file's, in base64."""
    checksum = 0
    with path.open("rb") as stream:
        while data := stream.read(2**20):
            checksum = extend(checksum, data)
    return to_base64(checksum)
