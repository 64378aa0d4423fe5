"""A step as a process of this machine."""

import os
import signal
import subprocess
from collections.abc import Callable


def run(command: list[str], variables: dict[str, str], sink: Callable[[str], None]) -> int:
    """Kfp's own, but its lines go to the step's log, not through a print that two threads replace at once.

    Args:
        command: The command line that kfp made.
        variables: Added to this process's environment.
        sink: Gets each line that the step prints.

    Returns:
        Its exit code, negative for a signal.
    """
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1", **os.environ, **variables}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, env=environment
    ) as process:
        for line in process.stdout or ():
            sink(line)
        code = process.wait()
    if code < 0:
        sink(f"Killed by signal {-code} ({signal.Signals(-code).name}).\n")
    return code
