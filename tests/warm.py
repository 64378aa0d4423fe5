"""The command, with its steps forked from a server that a test process keeps: TensorFlow is imported once for all runs.

A run of a person starts its own, and so do those tests that are about it, or kill it. As a program this file is
`python -m switchpoint.command` with the servers of `variables`.
"""

import atexit
import functools
import json
import os
import runpy
import sys
from multiprocessing import forkserver
from typing import Any

SERVERS = "WARM_SERVERS"  # address, by what it has imported


def variables(tracked: bool) -> dict[str, str]:
    """What tells the command which servers there are, those of runs that are tracked too."""
    from switchpoint.command.local.processes import PRELOAD

    preloads = (PRELOAD, (*PRELOAD, "mlflow")) if tracked else (PRELOAD,)
    return {SERVERS: json.dumps({",".join(preload): _started(preload) for preload in preloads})}


@functools.cache
def _started(preload: tuple[str, ...]) -> str:
    """The address of a server; it ends with this process."""
    from switchpoint.command.local import processes

    server = forkserver.ForkServer()
    server.set_forkserver_preload([*preload])
    with processes._own_server([*preload]):
        server.ensure_running()
    atexit.register(server._stop)  # type: ignore[attr-defined]
    return str(server._forkserver_address)  # type: ignore[attr-defined]


def _use(servers: dict[str, str]) -> None:
    """Let multiprocessing take the server that has imported what is wanted for its own.

    A run that wants what no server has imported fails: else it would start one, and nobody would see.
    """
    own: Any = forkserver._forkserver  # type: ignore[attr-defined]

    def ensure_running() -> None:
        own._forkserver_address = servers[",".join(own._preload_modules)]
        own._forkserver_alive_fd = own._forkserver_alive_fd or os.open(os.devnull, os.O_WRONLY)

    own.ensure_running = forkserver.ensure_running = ensure_running


if __name__ == "__main__":
    _use(json.loads(os.environ.pop(SERVERS)))
    sys.path[0] = ""
    runpy.run_module("switchpoint.command", run_name="__main__", alter_sys=True)
