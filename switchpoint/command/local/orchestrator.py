"""kfp's own local orchestrator, watched: it decides what is cached and what runs.

A plan is the same orchestration with the tasks replaced by a stub, so a plan and a run can't disagree (docs/adr/0003).
This reaches into kfp.local, and nothing else of the project does: kfp is pinned to the patch version for it.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import re
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp import dsl, local
from kfp.compiler import pipeline_spec_builder
from kfp.local import cache, docker_task_handler, executor_input_utils, logging_utils, status, subprocess_task_handler
from kfp.local import task_dispatcher as dispatcher
from kfp.local.orchestrator import orchestrator_utils, task_executor, task_spec_utils

from components.digest.step import DigestConfig, digest
from pipeline import switchpoint as pipeline
from switchpoint.command.local import containers, packages
from switchpoint.command.local.interfaces import Observer, Outputs, Starter, Task
from switchpoint.command.runs import outputs
from switchpoint.command.runs.artifacts import directory
from switchpoint.command.runs.store import held, now, relative, whole
from switchpoint.provenance.digests import SEEDED_STEPS

if TYPE_CHECKING:
    from switchpoint.command.documents import Step
    from switchpoint.documents.lineage import Parameters

_this_thread = threading.local()


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
        _checked_cache(runs_directory, observer, writes, verify, packages.digest() if runner == "subprocess" else None),
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
def _checked_cache(
    runs_directory: Path, observer: Observer, writes: bool, verify: bool, installed: str | None
) -> Iterator[None]:
    """A hit is what its step left behind: kfp's own takes whatever is there, and checks that the path exists.

    Paths in keys and entries are relative to the runs' directory, which may be moved.

    Args:
        runs_directory: Where runs write.
        observer: Told of each hit.
        writes: Whether what is done goes to the cache.
        verify: Read every file of a hit.
        installed: Digest of the packages that run the steps; None: those of their images, whose names have it.
    """
    get, put, compute_key = cache.LocalCache.get, cache.LocalCache.put, cache.LocalCache.compute_key
    serialize, deserialize = cache.LocalCache._serialize_artifact, cache.LocalCache._deserialize_artifact

    def keyed(self: cache.LocalCache, *, arguments: dict[str, Any], env_vars: dict[str, str], **others: Any) -> str:
        arguments = {name: _relative(value, runs_directory) for name, value in arguments.items()}
        if installed:
            _this_thread.step["packages"] = installed
            env_vars = env_vars | {"SWITCHPOINT_PACKAGES": installed}
        return str(compute_key(self, arguments=arguments, env_vars=env_vars, **others))

    def checked(self: cache.LocalCache, key: str) -> Outputs | None:
        with held(runs_directory) if writes else contextlib.nullcontext():
            found: Outputs | None = get(self, key)
            if found is None:
                return None
            _this_thread.broken = outputs.changed(_described(found), contents=verify, refresh=writes)
            if _this_thread.broken:
                return None
            step: Step = _this_thread.step
            step["state"], step["why"] = "cached", "nothing that it depends on has changed"
            step["outputs"] = {name: artifact.uri for name, artifact in found.items()}
            observer.took(step)
            return found

    def remembered(self: cache.LocalCache, key: str, made: Outputs) -> None:
        if writes:
            outputs.remember(_described(made))
            put(self, key, made)

    def written(artifact: dsl.Artifact) -> Outputs:
        return dict(serialize(_relative(artifact, runs_directory)))

    def read(entry: Outputs) -> dsl.Artifact:
        return deserialize(entry | {"uri": whole(runs_directory, entry["uri"])})

    with (
        _replaced(cache.LocalCache, "_serialize_artifact", written),
        _replaced(cache.LocalCache, "_deserialize_artifact", read),
        _replaced(cache.LocalCache, "get", checked),
        _replaced(cache.LocalCache, "put", remembered),
        _replaced(cache.LocalCache, "compute_key", keyed),
    ):
        yield


def _relative(value: Any, runs_directory: Path) -> Any:
    """An artifact, or a list of them, with a path relative to the runs' directory; anything else as it is."""
    if isinstance(value, list):
        return [_relative(each, runs_directory) for each in value]
    if isinstance(value, dsl.Artifact):
        value = copy.copy(value)
        value.uri = relative(runs_directory, value.uri)
    return value


def _described(made: Outputs) -> dict[str, outputs.Output]:
    return {name: outputs.Output(Path(each.uri), each.metadata.get("digest")) for name, each in made.items()}


@contextlib.contextmanager
def started_by(starter: Starter, runs_directory: Path, run: str) -> Iterator[None]:
    """Steps of a run are started by `starter`, and write where the run's steps do."""

    def place(**_: str) -> str:
        return str(directory(runs_directory, run, _this_thread.step))

    def process(full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        return starter.process(_this_thread.step, full_command, env_vars or {})

    def container(*arguments: Any, **keywords: Any) -> int:
        return starter.container(_this_thread.step, *arguments, **keywords)

    with (
        _replaced(executor_input_utils, "construct_local_task_root", place),
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
    """Note when and how a step ends."""
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
        observer.ended(step)


def _step(component: str, container: Any, inputs: dict[str, Any]) -> Step:
    """A task as a run's document shows it, before it is known whether it is cached: another may write that down now."""
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
        "state": "pending",
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
