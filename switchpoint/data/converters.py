"""Photos to records' JPEGs in processes of their own: Pillow holds Python's lock, so threads would take turns.

Not `multiprocessing`: its workers import the caller's main module again, and outlive a caller that is killed. These end
when their input does.
"""

import pickle
import subprocess
import sys
import threading
from types import TracebackType

from switchpoint.data import photos as images
from switchpoint.errors import ProcessEndedError
from switchpoint.provenance.digests import ROOT


class Converters:
    """A process for each thread that converts, started by its first photo."""

    def __init__(self, height: int, width: int) -> None:
        self._size = str(height), str(width)
        self._thread = threading.local()
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Converters":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.communicate()  # closes its input

    def convert(self, data: bytes) -> tuple[bytes, str]:
        """Decode, resize and encode a photo.

        Args:
            data: A whole file, of a format that `switchpoint.data.photos` reads.

        Returns:
            JPEG bytes and "", or no bytes and the reason.

        Raises:
            ProcessEndedError: The process ended, such as for want of memory.
        """
        if not hasattr(self._thread, "process"):
            command = [sys.executable, "-m", __name__, *self._size]
            self._thread.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._processes.append(self._thread.process)
        process = self._thread.process
        try:
            pickle.dump(data, process.stdin)
            process.stdin.flush()
            converted: tuple[bytes, str] = pickle.load(process.stdout)
        except (EOFError, BrokenPipeError):
            raise ProcessEndedError(
                f"A process that decodes photos ended with exit code {process.wait()} (-9: most likely for want of "
                "memory). Give prepare more memory, or look for a photo of very many pixels."
            ) from None
        return converted


def serve(height: int, width: int) -> None:
    """Convert what comes in until nothing more does."""
    while True:
        try:
            data = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            converted = images.encode(images.resize(images.decode(data), height, width)), ""
        except images.UnreadablePhotoError as error:
            converted = b"", str(error)
        pickle.dump(converted, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
