"""Where a training's states lie: a directory, or a prefix in a bucket; one process at a time holds the lock of it.

See `switchpoint.training.resume`, whose files these are.
"""

import os
import shutil
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO

from switchpoint import storage
from switchpoint.errors import StorageError
from switchpoint.progress import say

# The environment variable that names the root; without it no states are kept.
RESUME = "SWITCHPOINT_RESUME"
BEAT = 10.0  # seconds between two signs of life in a bucket
LEASE = 45.0  # seconds without one, after which a training in a bucket counts as dead


class Directory:
    """Below a directory; its lock is flock's, which the kernel gives free when a process ends."""

    def __init__(self, path: Path) -> None:
        """Nothing is made yet."""
        self.path = path
        self.lock_path = path.with_name(f"{path.name}.lock")
        self.lock_file: IO[str] | None = None

    def lock(self) -> bool:
        """Take the lock; False: another process has it."""
        import fcntl

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            while True:
                file = self.lock_path.open("a")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    file.close()
                    return False
                with suppress(FileNotFoundError):
                    # Whoever held it before may have removed it after it was opened here.
                    if self.lock_path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                        self.lock_file = file
                        break
                file.close()
            self.path.mkdir(exist_ok=True)
            for part in self.path.glob("*.part"):
                part.unlink()
        except OSError as error:
            raise StorageError(f"{RESUME} names {self.path.parent}, which can't be used: {error}") from error
        return True

    def remove(self) -> None:
        """Remove all of the training's."""
        shutil.rmtree(self.path, ignore_errors=True)

    def unlock(self) -> None:
        """Give the lock free, if it is this one's still."""
        if self.lock_file is not None:
            self.lock_path.unlink(missing_ok=True)
            self.lock_file.close()

    def names(self) -> list[str]:
        """Of the states that are there."""
        return [path.name for path in self.path.glob("*.npz")]

    def read(self, name: str) -> bytes:
        """A state."""
        return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Keep it whole or not at all."""
        temporary = self.path / f"{name}.part"
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path / name)

    def delete(self, name: str) -> None:
        """Remove it, if it is there."""
        (self.path / name).unlink(missing_ok=True)


class Bucket:
    """Below a prefix. A process that was killed can't unlock: its lock is dead when it has not changed for `LEASE`."""

    def __init__(self, uri: str, step: str) -> None:
        """Nothing is asked yet; `step` is for what is said."""
        self.uri, self.step = uri, step
        self.lock_uri = f"{uri}/lock.json"
        self.owner = uuid.uuid4().hex
        self.version: storage.Version = storage.NONE
        self.ended = threading.Event()
        self.lost = False

    def lock(self) -> bool:
        """Take the lock; False: another process has it."""
        seen = storage.read_json(self.lock_uri)[1]
        if seen:
            threading.Event().wait(LEASE)
            if storage.read_json(self.lock_uri)[1] not in (storage.NONE, seen):
                return False
        try:
            self._sign(seen if storage.read_json(self.lock_uri)[1] else storage.NONE)
        except StorageError:
            owner = self._owner()
            if owner is None:
                raise
            if owner != self.owner:  # else it was signed, and only the answer was lost
                return False
        threading.Thread(target=self._live, daemon=True).start()
        return True

    def _sign(self, version: storage.Version) -> None:
        storage.write_json(self.lock_uri, {"owner": self.owner, "sign": uuid.uuid4().hex}, version)
        if self._owner() != self.owner:
            raise StorageError(f"{self.lock_uri} was taken by another process.")

    def _owner(self) -> str | None:
        """Whose the lock is; of an own one the version is noted, which the next sign replaces."""
        value, version = storage.read_json(self.lock_uri)
        if value is not None and value["owner"] == self.owner:
            self.version = version
        return None if value is None else str(value["owner"])

    def _live(self) -> None:
        while not self.ended.wait(BEAT):
            try:
                self._sign(self.version)
            except StorageError as error:
                # It may have been written all the same: then the lock has a version that is not known yet.
                with suppress(StorageError):
                    if self._owner() != self.owner:
                        self.lost = True
                        say(self.step, f"nothing is saved there any more: {error}")
                        return

    def unlock(self) -> None:
        """Give the lock free, if it is this one's still."""
        self.ended.set()
        if not self.lost:
            with suppress(StorageError):
                if self._owner() == self.owner:  # cut off for long enough, it is another's
                    storage.delete(self.lock_uri)

    def names(self) -> list[str]:
        """Of the states that are there."""
        found = (item.name.rpartition("/")[2] for item in storage.listing(f"{self.uri}/"))
        return [name for name in found if name.endswith(".npz")]

    def read(self, name: str) -> bytes:
        """A state."""
        return storage.read_bytes(f"{self.uri}/{name}")[0] or b""

    def write(self, name: str, data: bytes) -> None:
        """Keep it whole or not at all."""
        if not self.lost:
            storage.write_bytes(f"{self.uri}/{name}", data, "application/octet-stream")

    def delete(self, name: str) -> None:
        """Remove it, if it is there."""
        if not self.lost:
            storage.delete(f"{self.uri}/{name}")
