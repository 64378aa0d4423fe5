"""Paths that a person writes."""

import os
from pathlib import Path

from switchpoint.errors import ParameterError


def expanded(path: str | os.PathLike[str], place: str = "") -> Path:
    """The path, with the home directory for `~`, which a shell leaves in --flag=~/name.

    Args:
        path: As it was written.
        place: What to call it in an error: the file's line, or the parameter.

    Raises:
        ParameterError: It begins with ~NAME, and nobody of that name has a home directory here.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        said = f"{place} {os.fspath(path)!r}".lstrip()
        raise ParameterError(f"{said} begins with a home directory that is not known here. Write it out.") from None
