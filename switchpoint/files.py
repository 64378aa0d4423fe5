"""Files of this machine: written to a temporary name and moved into place, so that a reader sees all or nothing."""

import json
import os
import shutil
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Write UTF-8, what is not as its escape; the directory is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8", errors="backslashreplace")
    part.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write a document; raises ValueError on a number that JSON does not have."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False))


def copy(source: Path, path: Path) -> None:
    """Copy a file; the directory is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    shutil.copyfile(source, part)
    part.replace(path)


def link(source: Path, path: Path) -> None:
    """Give a file a second name, or where the disk can't, a copy. Nobody writes into a finished file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), part)
    except OSError:
        shutil.copyfile(source, part)
    part.replace(path)
