"""kfp's own local orchestrator, watched: it decides what is cached and what runs.

A plan is the same orchestration with the tasks replaced by a stub, so a plan and a run can't disagree (docs/adr/0003).
This reaches into kfp.local, and nothing else of the project does: kfp is pinned to the patch version for it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kfp import dsl, local
from kfp.compiler import pipeline_spec_builder
from kfp.local import cache, docker_task_handler, executor_input_utils, logging_utils, status, subprocess_task_handler
from kfp.local import task_dispatcher as dispatcher
from kfp.local.orchestrator import orchestrator_utils, task_executor, task_spec_utils

from components.digest.step import DigestConfig, digest
from pipeline import switchpoint as pipeline
from switchpoint.command.local import containers, packages
from switchpoint.command.runs import outputs
from switchpoint.command.runs.store import now
from switchpoint.provenance.digests import SEEDED_STEPS

if TYPE_CHECKING:
    from switchpoint.command.documents import Step
    from switchpoint.documents import Parameters

Outputs = dict[str, Any]

_this_thread = threading.local()


class Task(NamedTuple):
    """What is not cached, and so has to be done.

    Attributes:
        step: The task as the run's document shows it.
        outputs: Names of the artifacts it makes.
        begin: Notes that it runs from now on: until then it waits for others.
        run: Runs it the way kfp does; gives its outputs, or None when it failed.
        broken: Why what is in the cache does not count, if anything is.
    """

    step: Step
    outputs: list[str]
    begin: Callable[[], None]
    run: Callable[[], Outputs | None]
    broken: str


class Observer(Protocol):
    """Sees each task that the orchestrator comes to, and does those that are not cached."""

    steps: list[Step]

    def execute(self, task: Task) -> Outputs | None:
        """Do a task that is not cached; gives its outputs, or None when it failed."""

    def ended(self, step: Step) -> None:
        """A step has its final state."""


class Starter(Protocol):
    """Starts steps; gives their exit code, negative for a signal."""

    def process(self, step: Step, command: list[str], variables: dict[str, str]) -> int:
        """Run a step as a process of this machine, with these variables added to the environment."""

    def container(self, step: Step, *arguments: Any, **keywords: Any) -> int:
        """Run a step in a container; the arguments are those of `containers.run`, but for the first."""


def orchestrate(
    parameters: Parameters,
    runs_directory: Path,
    cache_directory: Path,
    runner: str,
    observer: Observer,
    *,
    writes: bool = True,
    verify: bool = False,
) -> None:
    """Run the pipeline under kfp.local, with its own chatter kept off the terminal.

    Args:
        parameters: All of the pipeline's.
        runs_directory: Where runs write.
        cache_directory: Where kfp's cache is.
        runner: `subprocess` or `docker`.
        observer: Does what is not cached.
        writes: Whether what is done goes to the cache.
        verify: Read every file of what is cached, also where its size and time are those of when it was written.
    """
    with (
        _quiet(),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        _observed(observer),
        _checked_cache(writes, verify, packages.digest() if runner == "subprocess" else None),
    ):
        warnings.simplefilter("ignore")
        workspace = runs_directory / ".workspace"
        local.init(
            local.SubprocessRunner(use_venv=False) if runner == "subprocess" else containers.runner(parameters),
            pipeline_root=str(runs_directory),
            workspace_root=str(workspace),
            enable_caching=True,
            cache_root=str(cache_directory),
        )
        pipeline(**parameters)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that kfp logs comes through.

    It exchanges the root logger's handlers, and Python's print, while a task runs; two rounds of a loop then leave each
    other's behind, or none, and what is logged without one goes to the terminal.
    """
    level = logging.root.level
    with (
        _replaced(logging.root, "handlers", [logging.NullHandler()]),
        _replaced(logging_utils, "local_logger_context", contextlib.nullcontext),
        _replaced(logging_utils, "indented_print", contextlib.nullcontext),
        _replaced(logging_utils, "print_horizontal_line", lambda: None),
        _replaced(warnings, "showwarning", lambda *_, **__: None),
    ):
        yield
        logging.root.setLevel(level)


@contextlib.contextmanager
def _checked_cache(writes: bool, verify: bool, installed: str | None) -> Iterator[None]:
    """A hit is what its step left behind: kfp's own takes whatever is there, and checks that the path exists.

    Args:
        writes: Whether what is done goes to the cache.
        verify: Read every file of a hit.
        installed: Digest of the packages that run the steps; None: those of their images, whose names have it.
    """
    get, put, compute_key = cache.LocalCache.get, cache.LocalCache.put, cache.LocalCache.compute_key

    def keyed(self: cache.LocalCache, *, env_vars: dict[str, str], **arguments: Any) -> str:
        if installed:
            _this_thread.step["packages"] = installed
            env_vars = env_vars | {"SWITCHPOINT_PACKAGES": installed}
        return str(compute_key(self, env_vars=env_vars, **arguments))

    def checked(self: cache.LocalCache, key: str) -> Outputs | None:
        found = get(self, key)
        if found is None:
            return None
        _this_thread.broken = outputs.changed(_described(found), contents=verify, refresh=writes)
        return None if _this_thread.broken else found

    def remembered(self: cache.LocalCache, key: str, made: Outputs) -> None:
        if writes:
            outputs.remember(_described(made))
            put(self, key, made)

    with (
        _replaced(cache.LocalCache, "get", checked),
        _replaced(cache.LocalCache, "put", remembered),
        _replaced(cache.LocalCache, "compute_key", keyed),
    ):
        yield


def _described(made: Outputs) -> dict[str, outputs.Output]:
    return {name: outputs.Output(Path(each.uri), each.metadata.get("digest")) for name, each in made.items()}


@contextlib.contextmanager
def started_by(starter: Starter, run: str) -> Iterator[None]:
    """Steps are started by `starter`, and write below a directory with the name `run`."""

    def process(full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        return starter.process(_this_thread.step, full_command, env_vars or {})

    def container(*arguments: Any, **keywords: Any) -> int:
        return starter.container(_this_thread.step, *arguments, **keywords)

    with (
        _replaced(executor_input_utils, "get_local_pipeline_resource_name", lambda name: run),
        _replaced(subprocess_task_handler, "run_local_subprocess", process),
        _replaced(docker_task_handler, "run_docker_container", container),
    ):
        yield


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute is another one meanwhile, and for good where Ctrl-C ends that.

    A second Ctrl-C does not wait for kfp's threads: with kfp's own functions back they would say what they do, and
    start the next steps themselves.
    """
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException:
        setattr(owner, name, original)
        raise
    setattr(owner, name, original)


@contextlib.contextmanager
def _observed(observer: Observer) -> Iterator[None]:
    """Tell `observer` of each task that the orchestrator comes to."""
    execute_single_task = task_executor.execute_single_task
    run_single_task = dispatcher.run_single_task_implementation

    def dispatch(**arguments: Any) -> tuple[Outputs, Any]:
        def begin() -> None:
            step["state"], step["started"], _this_thread.clock = "running", now(), time.monotonic()

        def run() -> Outputs | None:
            made, state = run_single_task(**arguments)
            return made if state == status.Status.SUCCESS else None

        step: Step = _this_thread.step
        step["state"] = "pending"
        names = list(arguments["component_spec"].output_definitions.artifacts)
        made = observer.execute(Task(step, names, begin, run, _this_thread.broken))
        return ({}, status.Status.FAILURE) if made is None else (made, status.Status.SUCCESS)

    def come_to(**arguments: Any) -> tuple[Outputs, Any]:
        spec = arguments["task_spec"]
        component = arguments["components"][spec.component_ref.name]
        inputs = orchestrator_utils.OrchestratorUtils.make_task_arguments(spec.inputs, arguments["io_store"])
        if spec.component_ref.name == "comp-digest":
            # The command has taken the digests before it planned: here the step would only hand them on.
            return digest(DigestConfig.given(inputs))._asdict(), status.Status.SUCCESS
        step = _step(spec.component_ref.name, arguments["executors"][component.executor_label].container, inputs)
        observer.steps.append(step)
        _this_thread.step, _this_thread.broken = step, ""
        with _ending(step, observer):
            made, state = execute_single_task(**arguments)
            step["outputs"] = {name: artifact.uri for name, artifact in made.items()}
        return made, state

    with (
        _replaced(task_executor, "execute_single_task", come_to),
        _replaced(dispatcher, "run_single_task_implementation", dispatch),
        _replaced(task_spec_utils, "create_parameter_loop_iteration_task_spec", _round),
    ):
        yield


def _round(loop: Any, item: Any, _: str) -> Any:
    """The task of a loop's round: `item` is the loop's own, and every other input what it is outside.

    kfp's own gives `item` also to whatever came from another task, such as the digest of the weights, and in a loop
    inside a loop to the outer one's item too: fine-tuning's seed would be its switch epoch.
    """
    task = type(loop)()
    task.CopyFrom(loop)
    constant = pipeline_spec_builder.to_protobuf_value(item)
    task.inputs.parameters[loop.parameter_iterator.item_input].runtime_value.constant.CopyFrom(constant)
    task.ClearField("parameter_iterator")
    return task


@contextlib.contextmanager
def _ending(step: Step, observer: Observer) -> Iterator[None]:
    """Note when and how a step ends: one that was not dispatched was cached."""
    _this_thread.clock = time.monotonic()
    try:
        yield
    except KeyboardInterrupt:
        step["state"] = "interrupted" if step["state"] == "running" else step["state"]
        raise
    except BaseException as error:
        step["error"] = step["error"] or f"{type(error).__name__}: {error}"
        raise
    finally:
        if step["state"] == "running":
            step["state"] = "ran"
        step["ended"], step["seconds"] = now(), round(time.monotonic() - _this_thread.clock, 3)
        if step["state"] == "cached":
            step["why"] = "nothing that it depends on has changed"
        observer.ended(step)


def _step(component: str, container: Any, inputs: dict[str, Any]) -> Step:
    """A task as a run's document shows it, before its state is known: a task that is not dispatched was cached."""
    name = re.sub(r"^comp-(\w+?)(-\d+)?$", r"\1", component)
    artifacts = {key: value if isinstance(value, list) else [value] for key, value in inputs.items() if _holds(value)}
    parameters = {key: value for key, value in inputs.items() if key not in artifacts}
    switch_epoch = parameters.get("switch_epoch")
    seed = parameters.get("seed") if name in SEEDED_STEPS else None
    return {
        "name": name,
        "seed": None if seed is None else int(seed),
        "switch_epoch": int(switch_epoch) if switch_epoch else None,
        "learning_rate": float(parameters["learning_rate"]) if switch_epoch else None,
        "state": "cached",
        "seconds": None,
        "why": "",
        "error": None,
        "started": now(),
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
