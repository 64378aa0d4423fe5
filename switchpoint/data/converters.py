"""Photos to records' JPEGs in processes of their own: Pillow holds Python's lock, so threads would take turns.

Not `multiprocessing`: its workers import the caller's main module again, and outlive a caller that is killed. These end
when their input does.
"""

import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import IO

from switchpoint.data import photos as images
from switchpoint.data.duplicates import fingerprint
from switchpoint.errors import ProcessEndedError
from switchpoint.provenance.digests import ROOT

# While it is decoded and resized, a photo of the largest size, 9,400×9,400 pixels, takes 0.8 to 0.9 GB as JPEG, PNG or
# GIF and 1.5 to 1.6 GB as WebP, whose pixels count twice; and a pod has 2 GiB.
PIXELS_AT_ONCE = 50_000_000


class Converters:
    """A process for each thread that converts, started by its first photo."""

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        """Make images of that height and width; None: none, prints alone."""
        self._size = [str(side) for side in size or ()]
        self._thread = threading.local()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._room = _Room()

    def __enter__(self) -> "Converters":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.communicate()  # closes its input

    def convert(self, data: bytes, quality: int = 92) -> tuple[bytes, bytes, str]:
        """Decode, resize and encode a photo, and take its print.

        Args:
            data: A whole file, of a format that `switchpoint.data.photos` reads.
            quality: Of the JPEG.

        Returns:
            JPEG bytes, what `duplicates.fingerprint` gives, and ""; or nothing, nothing and the reason.

        Raises:
            ProcessEndedError: The process ended, such as for want of memory.
        """
        if not hasattr(self._thread, "process"):
            command = [sys.executable, "-m", __name__, *self._size]
            self._thread.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._processes.append(self._thread.process)
        process = self._thread.process
        try:
            _put((data, quality), process.stdin)
            said: int | tuple[bytes, bytes, str] = pickle.load(process.stdout)
            if isinstance(said, int):
                with self._room.taken(said):
                    _put(None, process.stdin)
                    said = pickle.load(process.stdout)
        except (EOFError, BrokenPipeError):
            code = process.wait()
            raise ProcessEndedError(
                f"A process that decodes photos ended with exit code {code}"
                + (
                    " (killed, most likely for want of memory). Give prepare more memory."
                    if code == -signal.SIGKILL
                    else ". Why, it says in the log above; the photos that were read last are the ones to look at."
                )
            ) from None
        return said  # type: ignore[return-value]


class _Room:
    """How many pixels, as `decode` counts them, are decoded at once; a photo of more than that is decoded alone."""

    def __init__(self) -> None:
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + pixels <= PIXELS_AT_ONCE)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()


def _put(value: object, pipe: IO[bytes]) -> None:
    pickle.dump(value, pipe)
    pipe.flush()


def serve(*size: int) -> None:
    """Convert what comes in until nothing more does; before a photo's pixels are decoded, say how many they are."""
    photos, answers = sys.stdin.buffer, sys.stdout.buffer

    def ask(pixels: int) -> None:
        _put(pixels, answers)
        pickle.load(photos)

    while True:
        try:
            data, quality = pickle.load(photos)
        except EOFError:
            return
        try:
            image = images.decode(data, ask)
            record = images.encode(images.resize(image, *size), quality) if size else b""
            converted = record, fingerprint(image), ""
        except images.UnreadablePhotoError as error:
            converted = b"", b"", str(error)
        _put(converted, answers)


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))
