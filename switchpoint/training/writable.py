"""Whether a directory for states can be written: told before anything trains, with what to do about it."""

import os
import stat
import tempfile
from pathlib import Path

from switchpoint.errors import StorageError


def check(root: Path, variable: str) -> None:
    """Make the directory if it is not there, and try to write.

    Args:
        root: The directory.
        variable: The environment variable that names it.

    Raises:
        StorageError: It can't be written: whose it is, who asks, and what opens it.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except PermissionError as error:
        found = next(path for path in (root, *root.parents) if path.exists())
        has = found.stat()
        raise StorageError(
            f"{variable} names {root}, where this step may not write: {found} is of user {has.st_uid}, group "
            f"{has.st_gid} ({stat.filemode(has.st_mode)}), and the step is user {os.getuid()}, group {os.getgid()}. "
            f"Open it to the group, as root: chgrp {os.getgid()} {found} && chmod g+rwxs {found}. A cluster's volume: "
            "kubectl apply -k k8s/resume-volume (k8s/README.md, A volume for states). Nothing was trained."
        ) from error
    except OSError as error:
        raise StorageError(f"{variable} names {root}, which can't be used: {error}. Nothing was trained.") from error
