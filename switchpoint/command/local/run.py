"""Runs and plans on this machine, through kfp's own local orchestrator.

The orchestrator decides what is cached and what runs; this module only watches it. A plan is the same orchestration
with the tasks replaced by a stub, so a plan and a run can't disagree (docs/adr/0003). This reaches into kfp.local, and
nothing else of the project does: kfp is pinned to the patch version for it.
"""

import contextlib
import io
import logging
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from kfp import dsl, local
from kfp.local import cache, docker_task_handler, executor_input_utils, status, subprocess_task_handler
from kfp.local import task_dispatcher as dispatcher
from kfp.local.orchestrator import orchestrator_utils, task_executor

from pipeline import switchpoint as pipeline
from switchpoint.command.compilation import environment
from switchpoint.command.local.why import Step, explain
from switchpoint.command.runs import store as runs
from switchpoint.command.runs.results import collect
from switchpoint.errors import SwitchpointError
from switchpoint.provenance.digests import STEPS
from switchpoint.training.resume import RESUME

_this_thread = threading.local()


class Watcher(Protocol):
    """What wants to know how a run goes; switchpoint.command.cli.console shows it to a person."""

    def started(self, step: Step) -> None:
        """A step runs from now on."""

    def line(self, step: Step, text: str) -> None:
        """A step printed a line."""

    def ended(self, step: Step) -> None:
        """A step has its final state."""


def plan(parameters: dict[str, Any], runs_directory: Path, runner: str = "subprocess") -> list[Step]:
    """What a run with these parameters would do: for each step `cached` or `will run`, and why.

    Nothing is run and nothing is written.
    """
    earlier = runs.every(runs_directory)
    steps: list[Step] = []

    def planned(component_spec: Any, **_: Any) -> tuple[dict[str, Any], Any]:
        outputs = component_spec.output_definitions.artifacts
        return {name: dsl.Artifact(name=name, uri=f"planned://{uuid.uuid4()}") for name in outputs}, (
            status.Status.SUCCESS
        )

    def done(step: Step) -> None:
        step["state"] = "cached" if step["state"] == "cached" else "will run"
        step["seconds"] = None

    with (
        tempfile.TemporaryDirectory() as empty,
        _observed(steps, earlier, planned, lambda step: None, done),
        _replaced(cache.LocalCache, "put", lambda *_: None),
    ):
        cache_directory = runs_directory / ".cache"
        # LocalCache would make the directory, and a plan leaves nothing behind.
        _orchestrate(parameters, runs_directory, cache_directory if cache_directory.exists() else Path(empty), runner)
    return sorted(steps, key=_place)


def run(
    parameters: dict[str, Any], runs_directory: Path, watcher: Watcher, runner: str = "subprocess"
) -> dict[str, Any]:
    """Run the pipeline and return the run's document, whether it succeeded or failed.

    Args:
        parameters: All of the pipeline's parameters, checked.
        runs_directory: Where runs and the cache live.
        watcher: Told of every step and every line.
        runner: `subprocess`, or `docker` for a container a step.
    """
    runs_directory = runs_directory.resolve()
    expected = plan(parameters, runs_directory, runner)
    earlier = runs.every(runs_directory)
    document = runs.create(runs_directory, parameters, runner)
    lock = threading.Lock()
    interrupted = threading.Event()
    original = dispatcher.run_single_task_implementation

    def save() -> None:
        with lock:
            document["steps"].sort(key=_place)
            runs.write(runs_directory, document)

    def execute(**arguments: Any) -> tuple[dict[str, Any], Any]:
        step: Step = _this_thread.step
        log = runs_directory / document["id"] / step["log"]
        with log.open("a", encoding="utf-8") as file:

            def sink(line: str) -> None:
                file.write(line)
                file.flush()
                watcher.line(step, line.rstrip())

            _this_thread.sink = sink
            outputs, state = original(**arguments)
        if state != status.Status.SUCCESS:
            step["error"] = _own_error(log.read_text(encoding="utf-8"))
        return outputs, state

    def process(*arguments: Any, **keywords: Any) -> int:
        code = _run_subprocess(*arguments, **keywords)
        if {-code, code - 128} & {signal.SIGINT, signal.SIGTERM}:
            interrupted.set()
        return code

    def begin(step: Step) -> None:
        if interrupted.is_set():  # kfp would go on with the next switch epoch
            step["state"] = "skipped"
            raise KeyboardInterrupt
        name = step["name"] if step["switch_epoch"] is None else f"{step['name']}-{step['switch_epoch']:02d}"
        step["log"] = f"logs/{name}.log"
        save()
        watcher.started(step)

    def done(step: Step) -> None:
        if step["state"] == "ran" and step["error"]:
            step["state"] = "failed"
        save()
        watcher.ended(step)

    runs.write(runs_directory, document)
    try:
        with (
            _observed(document["steps"], earlier, execute, begin, done),
            _replaced(executor_input_utils, "get_local_pipeline_resource_name", lambda name: document["id"]),
            _replaced(subprocess_task_handler, "run_local_subprocess", process),
            environment({RESUME: os.environ.get(RESUME) or str(runs_directory / ".resume")}),
            _replaced(docker_task_handler, "run_docker_container", _run_container),
        ):
            _orchestrate(parameters, runs_directory, runs_directory / ".cache", runner)
        document["state"] = "succeeded"
        collect(document, runs_directory / document["id"] / "report.html")
    except RuntimeError as error:  # kfp's "Inner task failed: …"; the step's own error is in the step
        if not any(step["state"] == "failed" for step in document["steps"]):
            raise SwitchpointError(f"Kubeflow's local runner stopped: {error}") from error
    finally:
        if document["state"] == "running":
            document["state"] = "failed"
        seen = {_key(step) for step in document["steps"]}
        document["steps"] += [
            step | {"state": "skipped", "seconds": None} for step in expected if _key(step) not in seen
        ]
        document["ended"] = runs.now()
        save()
    return document


def _key(step: Step) -> tuple[Any, ...]:
    return step["name"], step["switch_epoch"]


def _place(step: Step) -> tuple[Any, ...]:
    """Where a step stands in the list: the way the data goes, one switch epoch after the other."""
    return step["name"] == "report", step["switch_epoch"] or 0, STEPS.index(step["name"])


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextlib.contextmanager
def _observed(
    steps: list[Step],
    earlier: list[dict[str, Any]],
    execute: Callable[..., Any],
    begin: Callable[[Step], None],
    done: Callable[[Step], None],
) -> Iterator[None]:
    """Watch each task that the orchestrator comes to; `execute` stands for running those that are not cached."""
    original = task_executor.execute_single_task

    def dispatch(**arguments: Any) -> Any:
        step = _this_thread.step
        step["state"] = "ran"
        step["why"] = explain(step, earlier)
        begin(step)
        return execute(**arguments)

    def task(**arguments: Any) -> Any:
        spec = arguments["task_spec"]
        component = arguments["components"][spec.component_ref.name]
        inputs = orchestrator_utils.OrchestratorUtils.make_task_arguments(spec.inputs, arguments["io_store"])
        step = _step(spec.component_ref.name, arguments["executors"][component.executor_label].container, inputs)
        steps.append(step)
        _this_thread.step = step
        clock = time.monotonic()
        try:
            outputs, state = original(**arguments)
        except BaseException as error:
            step["error"] = step["error"] or f"{type(error).__name__}: {error}"
            raise
        finally:
            step["ended"], step["seconds"] = runs.now(), round(time.monotonic() - clock, 3)
            if step["state"] == "cached":
                step["why"] = "nothing that it depends on has changed"
            if "outputs" in locals():
                step["outputs"] = {name: artifact.uri for name, artifact in outputs.items()}
            done(step)
        return outputs, state

    with (
        _replaced(task_executor, "execute_single_task", task),
        _replaced(dispatcher, "run_single_task_implementation", dispatch),
    ):
        yield


def _step(component: str, container: Any, inputs: dict[str, Any]) -> Step:
    """A task as a run's document shows it, before its state is known: a task that is not dispatched was cached."""
    name = re.sub(r"^comp-(\w+?)(-\d+)?$", r"\1", component)
    artifacts = {key: value if isinstance(value, list) else [value] for key, value in inputs.items() if _holds(value)}
    parameters = {key: value for key, value in inputs.items() if key not in artifacts}
    switch_epoch = parameters.get("switch_epoch")
    return {
        "name": name,
        "switch_epoch": int(switch_epoch) if switch_epoch else None,
        "state": "cached",
        "seconds": None,
        "why": "",
        "error": None,
        "started": runs.now(),
        "ended": None,
        "image": container.image,
        "parameters": parameters,
        "inputs": {key: [artifact.uri for artifact in value] for key, value in artifacts.items()},
        "outputs": {},
        "log": None,
    }


def _holds(value: Any) -> bool:
    return isinstance(value, dsl.Artifact) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], dsl.Artifact)
    )


def _orchestrate(parameters: dict[str, Any], runs_directory: Path, cache_directory: Path, runner: str) -> None:
    """Run the pipeline under kfp.local, with its own chatter kept off the terminal."""
    handlers, level = logging.root.handlers[:], logging.root.level
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        workspace = runs_directory / ".workspace"
        local.init(
            _runner(runner, parameters),
            pipeline_root=str(runs_directory),
            workspace_root=str(workspace),
            enable_caching=True,
            cache_root=str(cache_directory),
        )
        try:
            pipeline(**parameters)
        finally:
            logging.root.handlers[:] = handlers
            logging.root.setLevel(level)


def _runner(name: str, parameters: dict[str, Any]) -> Any:
    if name == "subprocess":
        return local.SubprocessRunner(use_venv=False)
    from docker.types import Mount

    places = [Path(parameters[key]) for key in ("dataset", "weights")]
    mounts = [
        Mount(target=str(place), source=str(place), type="bind", read_only=True)
        for place in places
        if place.is_absolute() and place.exists()
    ]
    variables = {"HOME": "/tmp", RESUME: os.environ.get(RESUME, "")}
    return local.DockerRunner(mounts=mounts, user=f"{os.getuid()}:{os.getgid()}", environment=variables)


def _run_subprocess(full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
    """Kfp's own, but its lines go to the step's log, not through a print that two threads replace at once."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1", **os.environ, **(env_vars or {})}
    sink = _this_thread.sink
    with subprocess.Popen(
        full_command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, env=environment
    ) as process:
        for line in process.stdout or ():
            sink(line)
        code = process.wait()
    if code < 0:
        sink(f"Killed by signal {-code} ({signal.Signals(-code).name}).\n")
    return code


def _run_container(client: Any, image: str, command: list[str], volumes: dict[str, Any], **arguments: Any) -> int:
    """Kfp's own, but right: it loses the exit code of a container that removes itself (kubeflow/pipelines 13332)."""
    import docker

    sink = _this_thread.sink
    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        sink(f"SwitchpointError: The image {image} is not on this machine. Build it with: make images DEVICE=cpu\n")
        return 1
    container = client.containers.run(image, command, detach=True, volumes=volumes, **arguments)
    try:
        for chunk in container.logs(stream=True, follow=True):
            sink(chunk.decode(errors="replace"))
        return int(container.wait()["StatusCode"])
    finally:
        container.remove(force=True)


def _own_error(log: str) -> str:
    """What a step said when it failed: its exception's message, or the last lines it printed."""
    after = log.rpartition("Traceback (most recent call last):")[2]
    lines = after.rstrip().splitlines()
    for number, line in enumerate(lines):
        found = re.match(r"(?:[\w.]+\.)?(\w+(?:Error|Exception|Interrupt|Exit)): (.*)", line)
        if found:
            message = "\n".join([found[2], *lines[number + 1 :]]).strip()
            return (
                message if "switchpoint.errors" in line or found[1] == "SwitchpointError" else f"{found[1]}: {message}"
            )
    return "\n".join(lines[-5:]) or "It printed nothing."
