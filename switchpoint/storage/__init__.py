"""Objects in buckets, gs:// or s3://: list, digest, download, read, write. Checked byte for byte, or a `StorageError`.

What only the command does (upload, export) is in `switchpoint/command/publish`: this is in the images.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from switchpoint.addresses import parse, place
from switchpoint.errors import LostError, StorageError
from switchpoint.storage.patience import Progress, Shown, batches
from switchpoint.storage.store import NONE, ConflictError, Object, Version, store_of

__all__ = ["NONE", "ConflictError", "Object", "Version"]


def listing(uri: str) -> list[Object]:
    """The object `uri`, or else all objects below `uri`/, sorted by name; placeholders of empty folders left out."""
    bucket, name = parse(uri)
    chosen = store_of(uri)
    with chosen.plainly("list", uri):
        objects = chosen.listing(uri, bucket, name)
    return sorted((item for item in objects if not item.name.endswith("/")), key=lambda item: item.name)


def digest(uri: str) -> str:
    """Hex SHA-256 of what is at or below `uri`, without reading the objects.

    It is over their names and, in Cloud Storage, generations and CRC32Cs; in S3, ETags and sizes.
    """
    return _digest(_existing(uri), parse(uri)[1])


def download(
    uri: str,
    destination: Path,
    progress: Progress | None = None,
    chosen: Callable[[Sequence[str]], Collection[str]] = set,
) -> str:
    """Copy an object to the file `destination`, or what is below a prefix to the folder `destination`.

    Nothing appears at `destination` before every byte agrees with the checksums listed. The versions listed are the
    ones read, so that the result is one state of the bucket, or an error when that changes meanwhile.

    Args:
        uri: Of an object or a prefix.
        destination: Where to.
        progress: Told how far it is.
        chosen: Of the names below a prefix, those to copy; the rest stays where it is.

    Returns:
        The `digest` of what was copied.
    """
    name = parse(uri)[1]
    objects = _existing(uri)
    single = objects[0].name == name
    if not single:
        inside = {item.name.removeprefix(folder(name)): item for item in objects}
        objects = [inside[each] for each in sorted(chosen([*inside]))]
    if not single and destination.exists() and (destination.is_file() or any(destination.iterdir())):
        raise StorageError(f"{destination} exists and is not an empty folder. Remove it or name another.")
    partial = destination.with_name(f".{destination.name}.{uuid.uuid4().hex[:8]}.partial")
    paths = [partial if single else partial / _relative(item.name, name) for item in objects]
    shown = Shown(progress, sum(item.size for item in objects))
    try:
        with store_of(uri).plainly("read", uri):
            if not single:
                partial.mkdir(parents=True)
            for batch in batches(list(zip(objects, paths, strict=True)), lambda pair: pair[0].size):
                for _, path in batch:
                    path.parent.mkdir(parents=True, exist_ok=True)
                store_of(uri).fetch(place(uri), batch, shown)
            partial.replace(destination)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)
    return _digest(objects, name)


def read_bytes(uri: str) -> tuple[bytes | None, Version]:
    """An object's content and its version; (None, NONE) when there is no such object."""
    with store_of(uri).plainly("read", uri):
        return store_of(uri).read(uri)


def write_bytes(uri: str, content: bytes, content_type: str, version: Version | None = None) -> None:
    """Write an object from memory; with `version` only over that one (NONE: only when there is none).

    Raises:
        ConflictError: Someone else wrote it meanwhile.
        StorageError: Anything else.
    """
    try:
        with store_of(uri).plainly("write", uri):
            store_of(uri).write(uri, content, content_type, version)
    except ConflictError:
        # When the answer to a write that succeeded is lost, the retry finds another version: our own.
        if read_bytes(uri)[0] != content:
            raise


def delete(uri: str) -> None:
    """Delete an object; one that is not there is no error."""
    with store_of(uri).plainly("delete", uri):
        store_of(uri).delete(uri)


def keeps_conditions(uri: str) -> bool:
    """Whether the store refuses one of two that write `uri` on the same condition: without that, no lock is one."""
    with store_of(uri).plainly("write", uri):
        return store_of(uri).keeps_conditions(uri)


def read_json(uri: str) -> tuple[Any, Version]:
    """The value in a JSON object and its version; (None, NONE) when there is no such object."""
    text, version = read_bytes(uri)
    try:
        return (None if text is None else json.loads(text)), version
    except ValueError as error:
        raise LostError(f"{uri} is not JSON: {error}") from error


def write_json(uri: str, value: Any, version: Version | None = None) -> None:
    """Write a small JSON object; with `version` (from `read_json`) only over that one, else `ConflictError`."""
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    write_bytes(uri, text.encode(), "application/json", version)


def folder(name: str) -> str:
    """A name as a prefix: it ends in a slash, unless it is empty."""
    return name if not name or name.endswith("/") else name + "/"


def _existing(uri: str) -> list[Object]:
    objects = listing(uri)
    if not objects:
        raise LostError(f"There is no object {uri} and none below it.")
    return objects


def _digest(objects: list[Object], name: str) -> str:
    hashed = hashlib.sha256()
    for item in objects:
        relative = item.name.rpartition("/")[2] if item.name == name else item.name.removeprefix(folder(name))
        hashed.update(json.dumps([relative, item.version, item.checksum or item.size]).encode() + b"\n")
    return hashed.hexdigest()


def _relative(name: str, prefix: str) -> str:
    relative = name.removeprefix(folder(prefix))
    if "\0" in relative or any(part in ("", ".", "..") for part in relative.split("/")):
        raise StorageError(f"The object {name!r} can't be a file below the destination. Rename it in the bucket.")
    return relative
