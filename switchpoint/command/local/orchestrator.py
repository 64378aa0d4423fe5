"""kfp's own local orchestrator, watched: it decides what is cached and what runs.

A plan is the same orchestration with the tasks replaced by a stub, so a plan and a run can't disagree (docs/adr/0003).
This reaches into kfp.local, and nothing else of the project does: kfp is pinned to the patch version for it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp import dsl, local
from kfp.compiler import pipeline_spec_builder
from kfp.local import docker_task_handler, executor_input_utils, logging_utils, status, subprocess_task_handler
from kfp.local import task_dispatcher as dispatcher
from kfp.local.orchestrator import orchestrator_utils, task_executor, task_spec_utils

from components.digest.step import DigestConfig, digest, shape
from pipeline import shaped
from switchpoint.command.local import containers, packages
from switchpoint.command.local.hits import addresses, checked_cache, named, replaced, this_thread
from switchpoint.command.local.interfaces import Observer, Outputs, Starter, Task
from switchpoint.command.runs.artifacts import directory
from switchpoint.command.runs.steps import place
from switchpoint.command.runs.store import now
from switchpoint.provenance.digests import SEEDED_STEPS

if TYPE_CHECKING:
    from switchpoint.command.documents import Step
    from switchpoint.documents.lineage import Parameters


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
        checked_cache(runs_directory, observer, writes, verify, packages.digest() if runner == "subprocess" else None),
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
        shaped(shape(parameters))(**parameters)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that kfp logs comes through.

    It exchanges the root logger's handlers, and Python's print, while a task runs; two rounds of a loop then leave each
    other's behind, or none, and what is logged without one goes to the terminal.
    """
    level = logging.root.level
    with (
        replaced(logging.root, "handlers", [logging.NullHandler()]),
        replaced(logging_utils, "local_logger_context", contextlib.nullcontext),
        replaced(logging_utils, "indented_print", contextlib.nullcontext),
        replaced(logging_utils, "print_horizontal_line", lambda: None),
        replaced(warnings, "showwarning", lambda *_, **__: None),
    ):
        yield
        logging.root.setLevel(level)


@contextlib.contextmanager
def started_by(starter: Starter, runs_directory: Path, run: str) -> Iterator[None]:
    """Steps of a run are started by `starter`, and write where the run's steps do."""

    def place(**_: str) -> str:
        return str(directory(runs_directory, run, this_thread.step))

    def process(full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        return starter.process(this_thread.step, full_command, env_vars or {})

    def container(*arguments: Any, **keywords: Any) -> int:
        return starter.container(this_thread.step, *arguments, **keywords)

    with (
        replaced(executor_input_utils, "construct_local_task_root", place),
        replaced(subprocess_task_handler, "run_local_subprocess", process),
        replaced(docker_task_handler, "run_docker_container", container),
    ):
        yield


@contextlib.contextmanager
def _observed(observer: Observer) -> Iterator[None]:
    """Tell `observer` of each task that the orchestrator comes to."""
    execute_single_task = task_executor.execute_single_task
    run_single_task = dispatcher.run_single_task_implementation
    transferred: dict[Any, Outputs] = {}

    def dispatch(**arguments: Any) -> tuple[Outputs, Any]:
        def begin() -> None:
            step["state"], step["started"], this_thread.clock = "running", now(), time.monotonic()

        def run() -> Outputs | None:
            made, state = run_single_task(**arguments)
            return made if state == status.Status.SUCCESS else None

        step: Step = this_thread.step
        names = list(arguments["component_spec"].output_definitions.artifacts)
        made = observer.execute(Task(step, names, begin, run, this_thread.broken))
        return ({}, status.Status.FAILURE) if made is None else (made, status.Status.SUCCESS)

    def come_to(**arguments: Any) -> tuple[Outputs, Any]:
        made, state = do(**arguments)
        for name, value in made.items():
            # kfp's own finds what a loop goes over only in a loop around it, or if the output has no name.
            arguments["io_store"].put_parent_input(f"pipelinechannel--{arguments['task_name']}-{name}", value)
        return made, state

    def do(**arguments: Any) -> tuple[Outputs, Any]:
        spec = arguments["task_spec"]
        component = arguments["components"][spec.component_ref.name]
        inputs = orchestrator_utils.OrchestratorUtils.make_task_arguments(spec.inputs, arguments["io_store"])
        if spec.component_ref.name == "comp-digest":
            # The command has taken the digests before it planned: here the step would only hand them on.
            return digest(DigestConfig.given(inputs))._asdict(), status.Status.SUCCESS
        step = _step(spec.component_ref.name, arguments["executors"][component.executor_label].container, inputs)
        this_thread.step, this_thread.broken = step, ""
        if step["name"] == "transfer" and place(step) in transferred:
            return transferred[place(step)], status.Status.SUCCESS  # a search had that seed's already
        observer.steps.append(step)
        with _ending(step, observer):
            made, state = execute_single_task(**arguments)
            step["outputs"] = addresses(made)
        if step["name"] == "transfer" and made:
            transferred[place(step)] = made
        return made, state

    with (
        replaced(task_executor, "execute_single_task", come_to),
        replaced(dispatcher, "run_single_task_implementation", dispatch),
        replaced(task_spec_utils, "create_parameter_loop_iteration_task_spec", _round),
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
    this_thread.clock = time.monotonic()
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
        step["ended"], step["seconds"] = now(), round(time.monotonic() - this_thread.clock, 3)
        observer.ended(step)


def _step(component: str, container: Any, inputs: dict[str, Any]) -> Step:
    """A task as a run's document shows it, before it is known whether it is cached: another may write that down now."""
    name = named(component)
    artifacts = {key: value if isinstance(value, list) else [value] for key, value in inputs.items() if _holds(value)}
    parameters = {key: value for key, value in inputs.items() if key not in artifacts}
    switch_epoch = parameters.get("switch_epoch")
    seed = parameters.get("seed") if name in SEEDED_STEPS else None
    return {
        "name": name,
        "seed": None if seed is None else int(seed),
        "switch_epoch": int(switch_epoch) if switch_epoch else None,
        "learning_rate": float(parameters["learning_rate"]) if switch_epoch else None,
        "rung": int(parameters.get("rung", 0)) or None,
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
