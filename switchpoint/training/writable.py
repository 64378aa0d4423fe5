"""Whether states can be kept somewhere: told before anything trains, with what to do about it."""

import os
import stat
import tempfile
import uuid
from pathlib import Path

from switchpoint import addresses, storage
from switchpoint.errors import StorageError


def check(root: str, variable: str) -> None:
    """Try what keeping states needs; a directory that is not there is made.

    Args:
        root: The directory, or the address of a prefix in a bucket.
        variable: The environment variable that names it.

    Raises:
        StorageError: They can't be kept there: why, and what to do.
    """
    if addresses.is_remote(root):
        _check_bucket(root, variable)
    else:
        _check_directory(Path(root), variable)


def _check_bucket(root: str, variable: str) -> None:
    """Write, read, list and delete an object, and see that the store keeps the conditions that a lock is made of."""
    probe = f"{root.rstrip('/')}/{uuid.uuid4().hex}.probe"
    instead = "Name a volume or another bucket, or keep none (on a cluster: --resume none). Nothing was trained."
    try:
        keeps = storage.keeps_conditions(probe)
        storage.write_bytes(probe, b"1", "text/plain")
        storage.read_bytes(probe)
        storage.listing(f"{probe}/")
        storage.delete(probe)
    except StorageError as error:
        raise StorageError(
            f"{variable} names {root}, where states can't be kept. {str(error).rstrip('.')}. {instead}"
        ) from error
    if not keeps:
        raise StorageError(
            f"{variable} names {root}, whose store takes a conditional write (If-None-Match) for any write: two "
            f"trainings could not tell each other apart there. {instead}"
        )


def _check_directory(root: Path, variable: str) -> None:
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
