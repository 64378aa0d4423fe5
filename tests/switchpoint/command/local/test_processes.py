"""Steps as processes: forked from a warm server, and started anew, to the same effect."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from kfp import dsl

from switchpoint.command.local import processes as local
from switchpoint.command.local.processes import Processes
from switchpoint.errors import SwitchpointError
from switchpoint.provenance.digests import ROOT

PRELOAD = ["json"]


class Done(NamedTuple):
    code: int
    log: str


def command(place: Path, *body: str) -> list[str]:
    """What kfp makes of a component with this body."""
    source = "\n".join(
        ["import os, signal, subprocess, sys, time", "def step():", *(f"    {line}" for line in (*body, "pass"))]
    )
    executor_input = {"inputs": {}, "outputs": {"outputFile": str(place / "executor_output.json")}}
    words = ["--executor_input", json.dumps(executor_input), "--function_to_execute", "step"]
    return ["sh", "-ec", local.SCRIPT, source, *words]


def run(processes: Processes, place: Path, *body: str, **variables: str) -> Done:
    lines: list[str] = []
    code = processes.run(command(place, *body), variables, lines.append)
    return Done(code, "".join(lines))


@pytest.fixture(scope="module")
def warm() -> Iterator[Processes]:
    with Processes(PRELOAD) as processes:
        processes.warm_up()
        yield processes
        assert processes._warm, "a step was started anew"


@pytest.fixture(params=["warm", "anew"])
def either(request: pytest.FixtureRequest, warm: Processes) -> Processes:
    return warm if request.param == "warm" else Processes()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def eventually(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_kfp_makes_the_command_line_that_is_known(tmp_path: Path) -> None:
    def step() -> None:
        pass

    container = dsl.component(step, base_image="python", install_kfp_package=False).component_spec.implementation
    words = [*container.container.command, *container.container.args]
    words[2] = words[2].replace("python3", sys.executable)
    assert local.parse(words).source == words[3]
    with pytest.raises(SwitchpointError, match=r"received .*pip install"):
        local.parse(["sh", "-c", "pip install it", *words])


def test_a_step_ends_well_or_with_its_exit_code(either: Processes, tmp_path: Path) -> None:
    assert run(either, tmp_path).code == 0
    assert run(either, tmp_path, "sys.exit(7)").code == 7
    assert run(either, tmp_path, "sys.exit('no')").code == 1
    assert run(either, tmp_path, "os._exit(255)").code == 255


def test_pythons_path_may_have_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "with space" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(local, "SCRIPT", local.SCRIPT.replace(sys.executable, str(python)))
    monkeypatch.setattr(sys, "executable", str(python))
    code, log = run(Processes(), tmp_path, "print('here')")
    assert (code, log.count("\nhere\n")) == (0, 1)


def test_of_a_server_that_was_never_started_nothing_is_known() -> None:
    assert local._end_of(None) is None


def test_a_step_leaves_nothing_in_the_temporary_directory(
    either: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    assert run(either, tmp_path, "pass", TMPDIR=str(tmp_path / "tmp")).code == 0
    assert run(either, tmp_path, "raise ValueError", TMPDIR=str(tmp_path / "tmp")).code == 1
    assert os.listdir(tmp_path / "tmp") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_ended_takes_the_servers_directory_with_it(tmp_path: Path, number: signal.Signals) -> None:
    code = (
        "import time; from switchpoint.command.local.processes import Processes\n"
        "with Processes(['json']) as processes:\n"
        "    processes.warm_up(); print('warm', flush=True); time.sleep(60)"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "warm\n"
        assert [path.name[:5] for path in tmp_path.iterdir()] == ["pymp-"]
        process.send_signal(number)
        assert process.wait(10) == -number
    assert list(tmp_path.iterdir()) == []


def test_an_exception_is_one_with_its_traceback(either: Processes, tmp_path: Path) -> None:
    code, log = run(either, tmp_path, "raise ValueError('what went wrong')  # here")
    assert code == 1
    assert log.rstrip().endswith("ValueError: what went wrong")
    assert log.count("Traceback") == 1
    assert "raise ValueError('what went wrong')  # here" in log


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_that_step_alone(warm: Processes, tmp_path: Path, number: signal.Signals) -> None:
    code, log = run(warm, tmp_path, f"os.kill(os.getpid(), {number.value}); time.sleep(9)")
    assert code == -number
    assert log.endswith(f"Killed by signal {number.value} ({number.name}).\n")
    assert ("KeyboardInterrupt" in log) == (number == signal.SIGINT)
    assert run(warm, tmp_path, "print('next')").log.count("\nnext\n") == 1


def test_all_that_is_printed_comes_in_order_below_python_too(either: Processes, tmp_path: Path) -> None:
    body = [
        "print('Python')",
        "os.write(1, b'a descriptor\\n')",
        "print('standard error', file=sys.stderr)",
        "subprocess.run(['sh', '-c', 'echo a grandchild; echo its errors >&2'])",
        "sys.stdout.buffer.write(b'no UTF-8: \\xff\\n')",
        "print('read', repr(sys.stdin.read()), repr(os.read(0, 1)))",
        "import atexit; atexit.register(print, 'at the end')",
    ]
    printed = ["Python", "a descriptor", "standard error", "a grandchild", "its errors", "no UTF-8: �", "read '' b''"]
    lines = run(either, tmp_path, *body).log.splitlines()
    assert [line for line in lines if line in (*printed, "at the end")] == [*printed, "at the end"]


def test_lines_come_when_they_are_printed(either: Processes, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    body = [f"print('first'); seen = {str(seen)!r}", "while not os.path.exists(seen): time.sleep(0.01)"]
    code = either.run(command(tmp_path, *body), {}, lambda line: seen.touch() if line == "first\n" else None)
    assert code == 0


def test_a_step_sees_what_a_plain_process_sees(
    warm: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOVED", "early")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "early"))
    local._server._stop()
    run(warm, tmp_path)  # starts it again
    monkeypatch.delenv("REMOVED")
    monkeypatch.setenv("ADDED", "late")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'late'}{os.pathsep}{tmp_path / 'later'}")
    monkeypatch.chdir(tmp_path)
    seen = [
        "import json, multiprocessing, warnings",
        "handlers = [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)]",
        "names = sorted(name for name in sys.modules if name.startswith(('switchpoint', 'components', 'pipeline')))",
        "main = sys.modules['__main__']",
        "seen = [dict(os.environ), sys.path[1:], os.getcwd(), os.getpgrp(), handlers, names]",  # 0: the component's
        "seen += [main.__spec__.name, sys.argv[0], sys.argv[3:], warnings.filters, sys.flags]",
        "seen += [multiprocessing.get_start_method(), sys.stdout.encoding, sys.stderr.encoding]",
        "print('SEEN', json.dumps(seen, default=str))",
    ]
    forked, anew = (
        json.loads(run(each, tmp_path, *seen, EXTRA="given").log.partition("SEEN")[2].splitlines()[0])
        for each in (warm, Processes())
    )
    for shells_own in ("PWD", "OLDPWD", "_", "SHLVL"):
        forked[0].pop(shells_own, None)
        anew[0].pop(shells_own, None)
    assert forked == anew
    assert (forked[0]["ADDED"], forked[0]["EXTRA"]) == ("late", "given")
    assert "REMOVED" not in forked[0]


def test_an_edit_is_seen_by_the_next_step(warm: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "of_the_project.py").write_text("VALUE = 'first'")
    assert "\nfirst\n" in run(warm, tmp_path, "import of_the_project; print(of_the_project.VALUE)").log
    (tmp_path / "of_the_project.py").write_text("VALUE = 'the second'")
    assert "\nthe second\n" in run(warm, tmp_path, "import of_the_project; print(of_the_project.VALUE)").log


def test_two_threads_start_steps_at_once(warm: Processes, tmp_path: Path) -> None:
    def meet(own: str, other: str, codes: list[int]) -> None:
        for round in range(10):
            mine, theirs = tmp_path / f"{own}-{round}", tmp_path / f"{other}-{round}"
            body = [
                f"open({str(mine)!r}, 'w').close()",
                f"while not os.path.exists({str(theirs)!r}): time.sleep(0.001)",
            ]
            codes.append(run(warm, tmp_path / own, *body, f"sys.exit({round})").code)

    codes: dict[str, list[int]] = {"a": [], "b": []}
    threads = [threading.Thread(target=meet, args=(own, other, codes[own])) for own, other in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {"a": list(range(10)), "b": list(range(10))}


def test_a_step_that_the_server_does_not_outlive_fails_and_says_so(tmp_path: Path) -> None:
    with Processes(PRELOAD) as processes:
        processes.warm_up()
        code, log = run(processes, tmp_path, "os.kill(os.getppid(), signal.SIGKILL); time.sleep(0.2)")
        assert code == 1
        assert "SwitchpointError: The server that starts steps ended (-9)" in log
        assert run(processes, tmp_path, "print('next')").code == 0


def test_without_a_server_steps_are_started_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    (tmp_path / "breaks_the_server.py").write_text("raise RuntimeError")
    with Processes(["breaks_the_server"]) as processes:
        processes.warm_up()
        assert run(processes, tmp_path, "print('anew')").log.count("\nanew\n") == 1


def test_ctrl_c_while_the_server_warms_up_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    (tmp_path / "takes_long.py").write_text(
        "import pathlib, time\npathlib.Path(__file__).with_name('importing').touch()\ntime.sleep(60)"
    )
    with Processes(["takes_long"]) as processes:
        processes.warm_up()
        eventually((tmp_path / "importing").exists)
        threading.Timer(0.2, os.kill, (local._server._forkserver_pid, signal.SIGINT)).start()
        assert run(processes, tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')") == (
            -signal.SIGINT,
            "Killed by signal 2 (SIGINT).\n",
        )
    assert not (tmp_path / "ran").exists()


def test_the_server_ends_with_its_context_even_while_it_warms_up() -> None:
    with Processes(["tensorflow"]) as processes:
        processes.warm_up()
        server = local._server._forkserver_pid
        assert not gone(server)
    assert gone(server)


COMMAND = """
import sys
from switchpoint.command.local import processes
with processes.Processes({preload}) as started:
    started.warm_up()
    def say(line):
        if line.startswith("step "):
            print(processes._server._forkserver_pid, line.split()[1], flush=True)
    started.run({words}, {{}}, say)
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """A command with a server and a step that says nothing more, and the process ids of both."""
    words = command(tmp_path, "print('step', os.getpid())", "time.sleep(60)")
    code = COMMAND.format(preload=PRELOAD, words=words)
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        server, step = map(int, process.stdout.readline().split())
        yield process, server, step
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_the_server_is_gone_when_the_command_is_killed(running: tuple[subprocess.Popen[str], int, int]) -> None:
    process, server, step = running
    process.kill()
    eventually(lambda: gone(server))
    os.kill(step, signal.SIGKILL)


def test_nothing_is_left_of_a_killed_process_group(running: tuple[subprocess.Popen[str], int, int]) -> None:
    process, server, step = running
    assert os.getpgid(server) == os.getpgid(step) == process.pid
    os.killpg(process.pid, signal.SIGKILL)
    eventually(lambda: gone(server) and gone(step))


def test_ctrl_c_ends_all_and_what_a_step_says_then_is_logged(running: tuple[subprocess.Popen[str], int, int]) -> None:
    process, server, step = running
    os.killpg(process.pid, signal.SIGINT)
    eventually(lambda: gone(server) and gone(step))
    assert process.wait(10) == -signal.SIGINT
