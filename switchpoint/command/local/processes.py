"""A step as a process of this machine, forked from a warm server where that is possible (docs/adr/0010).

Importing TensorFlow takes longer than most steps of a small run. So a server, multiprocessing's, imports it once while
the run begins, and each step is a fork of it: a process of its own still, with its own environment and its own end.
"""

import contextlib
import multiprocessing
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import forkserver, resource_tracker, spawn, util
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO, Any, NamedTuple

from switchpoint.command.errors import RunnerError

Sink = Callable[[str], None]

PRELOAD = ("tensorflow", "keras")
CHILD = Path(__file__).with_name("child.py")
EXECUTOR = "kfp.dsl.executor_main"

# What kfp 2.17.0 has a shell do: the component's source is $0, the executor's arguments are "$@".
SCRIPT = f"""program_path=$(mktemp -d)
printf "%s" "$0" > "$program_path/ephemeral_component.py"
_KFP_RUNTIME=true {sys.executable} -m {EXECUTOR} --component_module_path "$program_path/ephemeral_component.py" "$@"
"""

# What the server does first: TensorFlow talks when it is imported, and the terminal is the command's.
PRELUDE = (
    "import os; null = os.open(os.devnull, os.O_RDWR); [os.dup2(null, number) for number in range(3)]; "
    "os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2'); "
)

# multiprocessing has one such server a process, and looks at all its children when one is started: two threads that
# did so at once could both read the one exit code.
_server: Any = forkserver._forkserver
_lock = threading.Lock()


class Job(NamedTuple):
    """What a command line of kfp's comes to."""

    source: str
    arguments: list[str]


class Processes:
    """Starts steps. As a context: when it is left, the server is gone.

    Without a server (before `warm_up`, elsewhere than on Linux, or when it could not start a step) each step is a
    process started anew: slower, to the same result. Nothing of the step has run by then, so nothing is done twice.
    """

    def __init__(self, preload: Iterable[str] = PRELOAD) -> None:
        """Nothing is started yet.

        Args:
            preload: Modules that the server imports. None of this project: an edit of it must reach the next step.
        """
        self._preload = list(preload)
        self._warm = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Processes":
        """Itself; ended by a signal, the command takes the server's directory with it, which it would leave."""
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
        return self

    def __exit__(self, *_: object) -> None:
        """End the server."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        # Not by closing its pipe, as multiprocessing does: it looks at that only when it has imported everything.
        with _lock:
            if _server._forkserver_pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(_server._forkserver_pid, signal.SIGKILL)
                _server._stop()

    def warm_up(self) -> None:
        """Start the server, and don't wait until it is warm: the first step does."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError), _lock, _own_server(self._preload):
                forkserver.ensure_running()
                self._warm = True

    def run(self, command: list[str], variables: dict[str, str], sink: Sink) -> int:
        """Run a step to its end.

        Args:
            command: The command line that kfp made.
            variables: Added to this process's environment.
            sink: Gets each line that the step prints.

        Returns:
            Its exit code, negative for a signal.

        Raises:
            RunnerError: The command line is not of the shape that kfp 2.17.0 gives it.
        """
        environment = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1", **os.environ, **variables}
        environment["_KFP_RUNTIME"] = "true"
        job = parse(command)
        code = self._forked(job, environment, sink) if self._warm else None
        if code is None:
            code = _anew(job, environment, sink)
        if code < 0:
            sink(f"Killed by signal {-code} ({signal.Signals(-code).name}).\n")
        return code

    def _forked(self, job: Job, environment: dict[str, str], sink: Sink) -> int | None:
        """Run a step as a fork of the server; None: it could not be started."""
        try:
            process, output, server = self._start(job, environment)
        except (EOFError, OSError):
            end = _end_of(_server._forkserver_pid)
            if end in (-signal.SIGINT, -signal.SIGTERM):
                return end  # meant for the command and all that it started: a step started now would outlive that
            self._warm = False
            return None
        try:
            _read(output, sink)
        except BaseException:
            if not wait([process.sentinel], timeout=0.25):
                process.terminate()
            raise
        wait([process.sentinel])
        with _lock:
            process.join()
            code = process.exitcode
            process.close()
        # 255 is also what multiprocessing says when it can't know.
        if code == 255 and (end := _end_of(server)) is not None:
            # Not run again: this one may still be at work on its outputs.
            sink(
                f"SwitchpointError: The server that starts steps ended ({end}) while this one ran, and with it the "
                "step's exit code. Run the command again: what has finished comes from the cache.\n"
            )
            return 1
        return code

    def _start(self, job: Job, environment: dict[str, str]) -> tuple[ForkServerProcess, IO[str], int]:
        """The process, what it prints, and the server's process id."""
        reading, writing = os.pipe()
        output = os.fdopen(reading, encoding="utf-8", errors="replace")
        try:
            with contextlib.closing(Connection(writing, readable=False)) as ends, _lock, _own_server(self._preload):
                task = {"output": ends, "module": EXECUTOR, "environment": environment, **job._asdict()}
                arguments = (str(CHILD), {"JOB": task}, "__main__")
                context = multiprocessing.get_context("forkserver")
                process = context.Process(target=runpy.run_path, args=arguments, name="step")
                process.start()
                return process, output, _server._forkserver_pid
        except BaseException:
            output.close()
            raise


def parse(command: list[str]) -> Job:
    """What a command line of kfp's comes to.

    Raises:
        RunnerError: It is not of the shape that kfp 2.17.0 gives it.
    """
    if (
        len(command) != 8
        or command[:2] != ["sh", "-ec"]
        or command[2].split() != SCRIPT.split()
        or command[4::2] != ["--executor_input", "--function_to_execute"]
    ):
        raise RunnerError(
            "Kubeflow's command line for a step is not the one that is known: "
            f"expected sh -ec {SCRIPT!r} SOURCE --executor_input … --function_to_execute …, "
            f"received {[word[:200] for word in command]}. "
            "Install the version of kfp that pyproject.toml pins, and give components no packages_to_install."
        )
    return Job(command[3], command[4:])


def _anew(job: Job, environment: dict[str, str], sink: Sink) -> int:
    """What kfp's script does, without a shell: Python's path may have a space, and the directory is removed again.

    Its lines go to the step's log, not through a print that two threads replace at once.
    """
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory, "ephemeral_component.py")
        program.write_text(job.source, encoding="utf-8")
        with subprocess.Popen(
            [sys.executable, "-m", EXECUTOR, "--component_module_path", str(program), *job.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=environment,
        ) as process:
            _read(process.stdout, sink)
            return process.wait()


def _read(output: IO[str] | None, sink: Sink) -> None:
    """Hand on each line until all who could write have ended."""
    with output or contextlib.nullcontext(()) as lines:
        try:
            for line in lines:
                sink(line)
        except KeyboardInterrupt:
            # The terminal sent it to the step too, which now saves its state: what it says of that belongs in the log.
            for line in lines:
                sink(line)
            raise


@contextlib.contextmanager
def _own_server(preload: list[str]) -> Iterator[None]:
    """Make multiprocessing start the server, and its forks, as they are wanted here.

    Its forks would import the command's main module, which is this project's, and take the command's `sys.path`: that
    begins with where the command's script lies. Theirs shall be the server's own, which is that of a plain process.
    The server would say on the terminal what TensorFlow says when it is imported, and take the command's -W and -X.
    """
    spawnv_passfds, get_preparation_data = util.spawnv_passfds, spawn.get_preparation_data

    def spawned(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:
        return spawnv_passfds(path, [path, "-c", PRELUDE + args[-1]], passfds)

    multiprocessing.set_forkserver_preload(preload)
    resource_tracker.ensure_running()
    spawn.get_preparation_data = lambda name: {"name": name, "dir": str(Path.cwd())}
    util.spawnv_passfds = spawned
    try:
        yield
    finally:
        util.spawnv_passfds, spawn.get_preparation_data = spawnv_passfds, get_preparation_data


def _end(number: int, _: object) -> None:
    """End by a signal as without a handler, but for multiprocessing's directory: it is removed only by an exit."""
    if directory := multiprocessing.process.current_process()._config.get("tempdir"):  # type: ignore[attr-defined]
        shutil.rmtree(directory, ignore_errors=True)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _end_of(server: int | None) -> int | None:
    """How the server ended: its exit code, negative for a signal. None: it lives, as far as can be seen in a second.

    It is left for multiprocessing to reap.
    """
    for _ in range(50 if server else 0):
        try:
            found = os.waitid(os.P_PID, server or 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return 0  # there was none, or multiprocessing has reaped it
        if found is not None:
            return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        time.sleep(0.02)
    return None
