"""Copy files of this machine to a bucket: what is there already is not sent again."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from switchpoint.addresses import parse, place
from switchpoint.command.publish.sending import Local, Sending, Sent, sending
from switchpoint.errors import StorageError
from switchpoint.storage import Object, folder, listing
from switchpoint.storage.patience import SMALL, Progress, Shown, batches
from switchpoint.storage.store import store_of

Files = list[tuple[Path, str, int]]  # each with the object's name and its size in bytes


class Uploaded(NamedTuple):
    """Objects sent, skipped because they were there already, and others: below the prefix but not in the folder."""

    sent: int
    skipped: int
    others: int


def upload(source: Path, uri: str, progress: Progress | None = None, *, replace: bool = True) -> Uploaded:
    """Copy a file to the object `uri` (below it, when it ends in a slash), or a folder's files to below `uri`/.

    Objects with the same checksum are left alone, so an upload that was interrupted goes on where it stopped. Symbolic
    links are followed, as a training run over the folder would; hidden files and folders are left out.

    Args:
        source: File or folder.
        uri: Where to.
        progress: Told of every piece.
        replace: Whether an object with other content is replaced; else that is an error.

    Raises:
        StorageError: Among others, a file that changed while it was read; its object is not there afterwards.
    """
    name = parse(uri)[1]
    bucket = place(uri)
    with store_of(uri).plainly("read", str(source)):
        files = _targets(source, name)
    _check_names(source, files)
    there = {item.name: item for item in listing(f"{bucket}/{folder(name) if source.is_dir() else files[0][1]}")}
    with store_of(uri).plainly("write", uri):
        way = sending(uri)
    shown = Shown(progress, sum(size for *_, size in files))
    sent = 0
    for batch in batches(files, lambda file: file[2]):
        new, changed = _to_send(way, bucket, batch, there, shown, replace)
        with store_of(uri).plainly("write", uri):
            _send(way, bucket, new, shown, new=True)
            _send(way, bucket, changed, shown, new=False)
        sent += len(new) + len(changed)
    return Uploaded(sent, len(files) - sent, len(there.keys() - {target for _, target, _ in files}))


def _targets(source: Path, name: str) -> Files:
    if source.is_dir():
        found = [(path, folder(name) + path.relative_to(source).as_posix()) for path in _files(source, ())]
    else:
        found = [(source, name if name and not name.endswith("/") else name + source.name)]
    return [(path, target, path.stat().st_size) for path, target in found]


def _check_names(source: Path, files: Files) -> None:
    if not files:
        raise StorageError(f"{source} holds no files, hidden ones aside. Name the folder that holds what to upload.")
    for path, target, _ in files:
        if re.search(r"[\r\n\ud800-\udfff]", target):
            raise StorageError(
                f"{str(path)!r} can't be an object's name: it has a line break or is no UTF-8. Rename it."
            )


def _to_send(
    way: Sending, bucket: str, batch: Files, there: dict[str, Object], shown: Shown, replace: bool
) -> tuple[list[Local], list[Local]]:
    """The files of which there is no object, and those whose object has other content."""
    new, changed = [], []
    for path, target, _ in batch:
        uri, found = f"{bucket}/{target}", there.get(target)
        with store_of(bucket).plainly("read", str(path)):
            item = Local(path, target, _state(path), way.checksum(path, uri, found))
        with store_of(bucket).plainly("read", uri):
            same = found is not None and way.is_same(item, uri, found)
        if found is None:
            new.append(item)
        elif same:
            shown.add(item.state[0], target)
        elif replace:
            changed.append(item)
        else:
            raise StorageError(f"{uri} exists with other content and is not replaced.")
    return new, changed


def _send(way: Sending, bucket: str, items: list[Local], shown: Shown, *, new: bool) -> None:
    problems = []
    for item, sent in zip(items, way.send(bucket, items, shown, new=new), strict=True):
        try:
            _check_sent(way, item, f"{bucket}/{item.target}", sent)
        except Exception as problem:
            problems.append(problem)
        if item.state[0] <= SMALL:
            shown.add(item.state[0], item.target)
    if problems:
        raise problems[0]


def _check_sent(way: Sending, item: Local, uri: str, sent: Sent) -> None:
    changed = not item.path.exists() or _state(item.path) != item.state
    arrived = sent.error is None and sent.checksum == item.checksum
    kept = f"{uri} was not kept. Upload it again."
    if sent.version is not None and not sent.existed and (changed or not arrived):
        # fake-gcs-server compares no declared CRC32C; and a change after the last byte was read shows only now.
        try:
            way.remove(uri, sent.version)
        except Exception as problem:
            kept = f"{uri} is there with what was read, and could not be deleted: {problem}"
    if changed:
        raise StorageError(f"{item.path} changed while it was read; {kept}")
    if sent.error is not None:
        raise sent.error
    if not arrived and sent.existed:
        raise StorageError(f"{uri} was written by someone else meanwhile, with other content than {item.path}.")
    if not arrived:
        raise StorageError(f"{item.path} did not arrive as it is (its {way.checksum_name} is {item.checksum}); {kept}")


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
