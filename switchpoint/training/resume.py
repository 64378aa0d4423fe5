"""Where a killed training left off: its state after each epoch, where it outlives the process.

ROOT/KEY/epoch-0003-step-000000-SHA256.npz   the newest two; a file whose digest is not its name's is not read
ROOT/KEY/ended.json                          the training is over; its outputs may still be on their way
ROOT/KEY.lock                                in a directory: held with flock by the process that trains
ROOT/KEY/lock.json                           in a bucket: rewritten every few seconds by the process that trains

ROOT comes from the environment, not from a parameter: parameters key KFP's cache, and where a state lies changes no
result. KEY is a digest of all that decides the result, so another training never finds this state.

The last state stays when a training has ended: KFP has its outputs only some time later, and a step killed in between
does not train again. The command on this machine removes it when it has the outputs; elsewhere it goes after `DAYS`.
So does the state that a rung of a search leaves (`goes_on`): the next rung goes on from it, or a later sweep.
"""

import dataclasses
import hashlib
import io
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from switchpoint import addresses, storage
from switchpoint.errors import StorageError
from switchpoint.progress import say
from switchpoint.provenance.digests import DIGEST, code_digest
from switchpoint.training import writable
from switchpoint.training.states import RESUME, Bucket, Directory

if TYPE_CHECKING:
    import numpy as np

    Arrays = dict[str, np.ndarray[Any, Any]]

# The environment variable that names the run: whoever has its outputs removes the states that ended in it.
RUN = "SWITCHPOINT_RUN"
ENDED = "ended.json"
DAYS = 7.0  # that the last state of a training that has ended is kept
KEPT = 2  # should the newest state be torn, the one before is used


class Resume:
    """The saved states of one training. As a context: left without an error, the training is over."""

    def __init__(self, root: str | None = None) -> None:
        """Nothing is touched before `open`.

        Args:
            root: Directory, or address of a prefix in a bucket; None: nothing is kept.
        """
        self._root, self._step = root, ""
        self._until: int | None = None
        self._store: Directory | Bucket | None = None

    @classmethod
    def from_environment(cls) -> "Resume":
        """At $SWITCHPOINT_RESUME.

        Raises:
            StorageError: States can't be kept there; found before anything is trained.
        """
        root = os.environ.get(RESUME) or None
        if root:
            writable.check(root, RESUME)
        return cls(root)

    def open(
        self,
        step: str,
        config: Any,
        inputs: Mapping[str, str],
        surroundings: Mapping[str, str] | None = None,
        until: int | None = None,
    ) -> None:
        """Take the lock of this training; when another process trains the same, go on without one.

        Args:
            step: transfer or finetune.
            config: Its parameters, a dataclass; addresses are left out, `inputs` has the digests of what lies there.
            inputs: For each input its digest.
            surroundings: What computes it: see `switchpoint.training.surroundings`.
            until: The epoch after which it stops for now, and another step goes on; None: it goes to its end.

        Raises:
            StorageError: The root can't be read or written.
        """
        self._step, self._until = step, until
        if self._root is None:
            return
        parameters = {
            name: value
            for name, value in dataclasses.asdict(config).items()
            if name not in ("weights", "weights_digest", "rung")
        }
        made_of = [
            step,
            os.environ.get(DIGEST) or code_digest(step),
            parameters,
            dict(inputs),
            dict(surroundings or {}),
        ]
        key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]
        store = (
            Bucket(f"{self._root}/{key}", step) if addresses.is_remote(self._root) else Directory(Path(self._root, key))
        )
        _sweep(self._root)
        if store.lock():
            self._store = store
            store.delete(ENDED)
        else:
            say(step, "another process trains the same: this one keeps no state to go on from")

    @property
    def keeps(self) -> bool:
        """Whether states are saved."""
        return self._store is not None

    def latest(self) -> "tuple[dict[str, Any], Arrays] | None":
        """The newest whole state, as it was given to `save`, or None."""
        import numpy as np

        for name in reversed(self._names()):
            data = self._store.read(name) if self._store else b""
            if hashlib.sha256(data).hexdigest() == name.removesuffix(".npz").rpartition("-")[2]:
                with np.load(io.BytesIO(data)) as content:
                    arrays = {key: content[key] for key in content.files}
                return json.loads(str(arrays.pop("values"))), arrays
            say(self._step, f"the saved state {name} is damaged; the one before it is used")
        return None

    def _names(self) -> list[str]:
        """States of this training, the newest last; what has gone on further than it goes is another's.

        From such a one it would have another history, so it is trained once more.
        """
        end = math.inf if self._until is None else self._until
        return sorted(name for name in (self._store.names() if self._store else ()) if _moment(name) <= (end, 0))

    def save(self, epoch: int, step: int, values: dict[str, Any], arrays: "Arrays") -> None:
        """Keep a state; a root that can't be written costs the state, not the training.

        Args:
            epoch: How many epochs are over.
            step: How many steps of the next one.
            values: What JSON holds.
            arrays: The variables' values by name.
        """
        import numpy as np

        if self._store is None:
            return
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, values=np.array(json.dumps(values)), **arrays)
        data = file.getvalue()
        name = f"epoch-{epoch:04d}-step-{step:06d}-{hashlib.sha256(data).hexdigest()}.npz"
        try:
            self._store.write(name, data)
            for old in self._names()[:-KEPT]:
                self._store.delete(old)
        except (OSError, StorageError) as error:
            say(self._step, f"the state after epoch {epoch} could not be saved: {error}")

    def __enter__(self) -> "Resume":
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock free; when the training is over, note that."""
        if self._store is not None:
            if kind is None:
                self._end()
            self._store.unlock()
            self._store = None

    def _end(self) -> None:
        goes_on = self._until is not None
        mark = {"step": self._step, "run": os.environ.get(RUN, ""), "ended": time.time(), "goes_on": goes_on}
        with suppress(OSError, StorageError):
            if self._store:
                for old in self._names()[:-1]:
                    self._store.delete(old)
                self._store.write(ENDED, json.dumps(mark).encode())


def _moment(name: str) -> tuple[int, int]:
    """How many epochs are over in the state of that name, and how many steps of the next one."""
    _, epoch, _, step, _ = name.split("-")
    return int(epoch), int(step)


def forget(root: Path, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Remove the states of trainings that have ended and whose mark is wanted, from a directory."""
    for path in root.glob(f"*/{ENDED}"):
        with suppress(OSError, ValueError, LookupError, StorageError):
            store = Directory(path.parent)
            if wanted(json.loads(path.read_bytes())) and store.lock():
                if path.exists():  # else it is being trained anew, or was
                    store.remove()
                store.unlock()


def _sweep(root: str) -> None:
    """Remove states of trainings that ended long ago."""

    def old(mark: dict[str, Any]) -> bool:
        return bool(time.time() - mark["ended"] > DAYS * 86400)

    if not addresses.is_remote(root):
        forget(Path(root), old)
        return
    with suppress(StorageError, LookupError, TypeError):  # another may sweep at the same time
        uris = [f"{root}/{'/'.join(item.name.split('/')[-2:])}" for item in storage.listing(f"{root}/")]
        for mark in (uri for uri in uris if uri.endswith(f"/{ENDED}")):
            place = mark.removesuffix(ENDED)
            if f"{place}lock.json" not in uris and old(storage.read_json(mark)[0]):
                for uri in (uri for uri in uris if uri.startswith(place)):
                    storage.delete(uri)
