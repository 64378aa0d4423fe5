"""A page that another program serves on this machine alone, until it ends or Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence

from switchpoint.command.errors import PageError

REFRESH = 3  # seconds


def serve(
    program: str,
    title: str,
    command: Sequence[str],
    port: int,
    say: Callable[[str], None],
    renew: Callable[[], object] = lambda: None,
) -> None:
    """Run a program that serves a page until it ends, or until Ctrl-C.

    Args:
        program: Its name.
        title: What is on the page.
        command: Its command line.
        port: Where it listens.
        say: Told where to look.
        renew: Called again and again meanwhile.

    Raises:
        PageError: It ended by itself.
    """
    process: subprocess.Popen[bytes] | None = None
    stopped = False

    def stop(*_: object) -> None:
        # Nothing is raised: in the middle of `wait` that would leave Popen's lock taken, and we would wait for ever.
        nonlocal stopped
        stopped = True
        if process:
            process.terminate()

    # Ended from outside it must end the program too; SIGINT is ignored in the background of a script.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    say(f"{title}: http://127.0.0.1:{port}/ (Ctrl-C ends it)")
    process = subprocess.Popen(command, env={"TF_CPP_MIN_LOG_LEVEL": "2"} | os.environ)
    with process:
        try:
            while not stopped and process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(REFRESH)
                renew()  # a step may have begun
        finally:
            process.terminate()
    if process.returncode and not stopped:
        raise PageError(
            f"{program} ended with exit code {process.returncode}. Is port {port} taken? Try another --port."
        )
