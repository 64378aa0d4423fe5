"""What a process does that the warm server forked: it becomes the one that kfp's command line would have started.

It is run by its path, not imported, and imports nothing of the project itself: a step imports the project's files as
they are when it starts, from where a process started anew would find them. `processes` says what JOB holds.
"""

import atexit
import importlib
import logging
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import threading
import traceback
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any

JOB: dict[str, Any] = globals()["JOB"]  # given by runpy


def own_output() -> None:
    """Send what Python, C++ and grandchildren print to the step's pipe: descriptors 1 and 2."""
    descriptor = JOB["output"].fileno()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    JOB["output"].close()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def leave_the_server() -> None:
    """Be a process of its own, to the server and to multiprocessing.

    The server ends when no process holds the other end of this pipe: only the command shall, not a step that outlives
    it. And a step that uses multiprocessing gets servers of its own, started the way that Python starts them.
    """
    for owner, name in ((forkserver._forkserver, "_forkserver_alive_fd"), (resource_tracker._resource_tracker, "_fd")):
        os.close(getattr(owner, name))
        setattr(owner, name, None)
    multiprocessing.set_start_method(None, force=True)


def own_surroundings() -> None:
    """The environment and `sys.path` of a process that is started now, not of the server, which was started earlier."""
    earlier, now = (each.get("PYTHONPATH", "") for each in (os.environ, JOB["environment"]))
    os.environ.clear()
    os.environ.update(JOB["environment"])
    if earlier != now:
        first, *others = sys.path
        kept = [entry for entry in others if entry not in earlier.split(os.pathsep)]
        sys.path = [first, *filter(None, now.split(os.pathsep)), *kept]
    sys.path = [entry or str(Path.cwd()) for entry in sys.path]
    importlib.invalidate_caches()
    # TensorFlow gives its logger a handler when the root has none: kfp sets the root's, and lines would come twice.
    logging.getLogger("tensorflow").handlers.clear()


def execute() -> bool:
    """What kfp's shell script does: the component's source in a file, and kfp's executor as the main module.

    Returns:
        Whether Ctrl-C ended it.
    """
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory, "ephemeral_component.py")
        program.write_text(JOB["source"], encoding="utf-8")
        sys.argv[1:] = ["--component_module_path", str(program), *JOB["arguments"]]
        try:
            runpy.run_module(JOB["module"], run_name="__main__", alter_sys=True)
        except SystemExit:
            raise
        except BaseException as error:
            traceback.print_exc()  # here, while the component's source is there to be shown
            if not isinstance(error, KeyboardInterrupt):
                sys.exit(1)
            return True
    return False


own_output()
leave_the_server()
own_surroundings()
try:
    interrupted = execute()
finally:
    # multiprocessing leaves these out when a fork ends.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
if interrupted:  # as Python itself ends then: who waits sees the signal
    sys.stdout.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
