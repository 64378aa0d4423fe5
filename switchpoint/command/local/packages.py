"""What runs a step that is a process of this machine: Python, and the packages that its image would hold.

The name of an image holds a digest of the lock. On this machine no image is used: what is installed may be anything.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import platform
import re
import sys
from contextlib import suppress
from pathlib import Path

from switchpoint.provenance.digests import ROOT

_LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==", re.MULTILINE)
_INSTALLED = re.compile(r"(.+?)-([^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info")


@functools.cache
def digest() -> str:
    """Hex SHA-256 over Python's version and those of the installed packages that the images' locks name."""
    locks = (path.read_text(encoding="utf-8") for path in sorted((ROOT / "docker").glob("requirements-*.txt")))
    wanted = {_normalized(name) for lock in locks for name in _LOCKED.findall(lock)}
    versions = installed()
    lines = [f"python {platform.python_version()}"]
    lines += [f"{name} {versions.get(name) or _otherwise_installed(name)}" for name in sorted(wanted)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def installed() -> dict[str, str]:
    """Versions by name, by their folders' names: importlib.metadata reads a file for each, which takes 70 ms."""
    found: dict[str, str] = {}
    for place in sys.path:
        with suppress(OSError):
            for path in Path(place or ".").iterdir():
                if match := _INSTALLED.fullmatch(path.name):
                    found.setdefault(_normalized(match[1]), match[2])
    return found


def _otherwise_installed(name: str) -> str | None:
    """The version of what its folder's name does not tell, such as an egg that is developed in."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
