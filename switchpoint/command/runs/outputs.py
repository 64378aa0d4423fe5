"""What a step left behind, remembered when it ended: an artifact that has changed since is no hit (docs/adr/0003).

A digest of an artifact's contents costs as much as reading them, some need TensorFlow, and logs have none. So each
file's size, modification time and SHA-256 are remembered, beside the artifacts: artifacts/RUN/STEP/files.json. A file
whose size and time are as remembered counts as unchanged; only when they differ, or when asked, is it read.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, NamedTuple

from switchpoint.files import write_json
from switchpoint.provenance.digests import file_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from switchpoint.command.documents import RememberedFile, RememberedOutput

NAME = "files.json"


class Output(NamedTuple):
    """An artifact of a step: where it lies, and the digest in its metadata, where it has one."""

    path: Path
    digest: str | None


def remember(outputs: Mapping[str, Output]) -> None:
    """Note what a step left behind; `outputs` are all of one step, which KFP puts beside each other."""
    found: dict[str, RememberedOutput] = {
        name: {"digest": output.digest, "files": {inner: _seen(path) for inner, path in _files(output.path)}}
        for name, output in outputs.items()
    }
    _write(outputs, found)


def changed(outputs: Mapping[str, Output], contents: bool = False, refresh: bool = True) -> str:
    """What of a step's outputs is not what the step left behind, in a few words; empty: nothing.

    Args:
        outputs: All of one step.
        contents: Read every file, not only those with another size or time.
        refresh: Note the new times of files that turned out to be unchanged, so that they need not be read again.
    """
    try:
        remembered: dict[str, RememberedOutput] = json.loads(_place(outputs).read_text(encoding="utf-8"))
        broken = [name for name, output in outputs.items() if not _same(output, remembered[name], contents)]
    except FileNotFoundError:
        return "nothing was noted of its outputs when they were made"
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return "what was noted of its outputs can't be read"
    if broken:
        return f"its {' and '.join(broken)} {'was' if _is_one(broken) else 'were'} changed since"
    if refresh:
        with contextlib.suppress(OSError):  # it costs reading them again, no more
            _refresh(outputs, remembered)
    return ""


def _refresh(outputs: Mapping[str, Output], remembered: dict[str, RememberedOutput]) -> None:
    times = [
        (file, (output.path / inner).stat().st_mtime_ns)
        for name, output in outputs.items()
        for inner, file in remembered[name]["files"].items()
    ]
    if any(file["modified"] != time for file, time in times):
        for file, time in times:
            file["modified"] = time
        _write(outputs, remembered)


def _is_one(names: list[str]) -> bool:
    return len(names) == 1 and not names[0].endswith("s")


def _same(output: Output, remembered: RememberedOutput, contents: bool) -> bool:
    """Whether all that was there still is. What came to lie beside it is nothing that a step reads."""
    return remembered["digest"] == output.digest and all(
        _unchanged(output.path / inner, file, contents) for inner, file in remembered["files"].items()
    )


def _unchanged(path: Path, file: RememberedFile, contents: bool) -> bool:
    try:
        found = path.stat()
        if found.st_size != file["bytes"]:
            return False
        if found.st_mtime_ns == file["modified"] and not contents:
            return True
        return file_digest(path) == file["sha256"]
    except OSError:
        return False


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Each file of an artifact, by its name inside; an artifact that is one file has the name `.`, which joins."""
    if path.is_dir():
        yield from ((str(each.relative_to(path)), each) for each in sorted(path.rglob("*")) if each.is_file())
    elif path.exists():
        yield ".", path


def _seen(path: Path) -> RememberedFile:
    found = path.stat()
    return {"bytes": found.st_size, "modified": found.st_mtime_ns, "sha256": file_digest(path)}


def _place(outputs: Mapping[str, Output]) -> Path:
    return next(iter(outputs.values())).path.parent / NAME


def _write(outputs: Mapping[str, Output], found: dict[str, RememberedOutput]) -> None:
    write_json(_place(outputs), found)
