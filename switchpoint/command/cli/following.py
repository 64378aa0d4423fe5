"""A run on Kubeflow Pipelines as a person sees it: its steps as they go, its end, what failed and why."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from switchpoint.command.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from switchpoint.command.documents import Run, Step

# What the UI calls a step: pipeline.py gives them these names.
TITLES = {
    "digest": "Take the digests",
    "prepare": "Prepare the photos",
    "transfer": "Transfer learning",
    "finetune": "Fine-tune",
    "halve": "Halve",
    "evaluate": "Evaluate",
    "collect": "Collect",
    "report": "Report",
    "promote": "Promote",
    "drift": "Compare new photos",
}


def finish(
    cluster: Any, started: Any, wait: bool, timeout: float | None, as_json: bool, pipeline_root: str | None
) -> None:
    """Say where the run is to be seen; with `wait` stay until it ends, show its results, exit 1 unless it succeeded."""
    _Shown(cluster, as_json, pipeline_root).run(started, wait, timeout, told=not wait)


def show(cluster: Any, run: Any, wait: bool, timeout: float | None, as_json: bool, pipeline_root: str | None) -> None:
    """The same of a run that was started before: its steps so far, and its results if it has ended."""
    _Shown(cluster, as_json, pipeline_root).run(run, wait, timeout, told=False)


class _Shown:
    """A run on the terminal, or as one JSON document on standard output."""

    def __init__(self, cluster: Any, as_json: bool, pipeline_root: str | None) -> None:
        from rich.console import Console

        self.cluster, self.as_json, self.pipeline_root = cluster, as_json, pipeline_root
        self.output = Console(file=sys.stderr if as_json else sys.stdout)
        self.loops: dict[str, Any] = {}

    def say(self, text: str) -> None:
        self.output.print(text, markup=False, highlight=False, soft_wrap=True)

    def step(self, step: Step) -> None:
        from switchpoint.command.cli import console

        if step["state"] != "skipped":  # omitted, after another failed
            self.say(f"{console.label(step, self.loops)} {console.words(step, digits=0)}")

    def run(self, run: Any, wait: bool, timeout: float | None, told: bool) -> None:
        """Show it.

        Args:
            run: The run.
            wait: Until it ends.
            timeout: Seconds after which to give up.
            told: It was just started, and all that there is to say of it is where it is.
        """
        from switchpoint.command.cluster.client import parameters_of, state

        self.loops = parameters_of(run)
        self.say(f"Run {run.run_id}: {run.display_name}\n{self.cluster.url(run.run_id)}")
        if wait:
            run = self._follow(run.run_id, timeout)
        document: Run = self.cluster.document(run)
        if not (wait or told):
            for step in document["steps"]:
                self.step(step)
        ended = state(run)
        self._say_why(run, document, told)
        results, trouble = ({}, "") if told or ended != "succeeded" else self._results(run)
        if self.as_json:
            click.echo(json.dumps(document | results, indent=1))
        if ended in ("failed", "canceled") and not told:
            if wait:
                raise ClusterError(failure(self.cluster.url(run.run_id), run, document))
            self.say(failure(self.cluster.url(run.run_id), run, document))
        elif trouble:
            self.say(trouble)
        elif results:
            from switchpoint.command.cli import console

            console.conclude(self.output, results)
        elif not told:
            self.say(f"The run is {ended}. Stay with it: add --wait.")

    def _follow(self, run_id: str, timeout: float | None) -> Any:
        try:
            return self.cluster.follow(run_id, self.step, timeout)
        except KeyboardInterrupt:
            raise ClusterError(
                f"Stopped waiting. The run goes on: {self.cluster.url(run_id)}\n"
                f"To wait again: switchpoint show {run_id} --host {self.cluster.host}{self._flags()} --wait"
            ) from None

    def _flags(self) -> str:
        """What `show` must be told besides the host."""
        given = {"namespace": self.cluster.own_namespace(), "pipeline-root": self.pipeline_root}
        return "".join(f" --{name} {value}" for name, value in given.items() if value)

    def _say_why(self, run: Any, document: Run, told: bool) -> None:
        """Put each failed step's own error into the document."""
        from switchpoint.command.cluster import logs

        for step in document["steps"]:
            if step["state"] == "failed" and not told:
                step["error"] = logs.why(self.cluster, run, step)

    def _results(self, run: Any) -> tuple[dict[str, Any], str]:
        from switchpoint.command.cluster import results

        try:
            return results.read(self.cluster, run, self.pipeline_root), ""
        except ClusterError as error:
            return {}, str(error)


def failure(url: str, run: Any, document: Run) -> str:
    """Which steps of a run failed, why, and where to look."""
    from switchpoint.command.cli import console

    if document["state"] == "canceled":
        return f"The run was canceled: {url}"
    failed = [step for step in document["steps"] if step["state"] == "failed"]
    loops = document["parameters"]
    if failed:
        return "\n".join(
            f"{console.title(step, loops)} failed: {step.get('error')}\nIts log: {url} ({place(step, loops)}, tab Logs)"
            for step in failed
        )
    said = f": {run.error.message}" if run.error and run.error.message else ""
    return f"The run {document['state']}{said}: {url}"


def place(step: Step, parameters: Mapping[str, Any]) -> str:
    """Where the UI's graph has a step; rounds of a loop go by place, from 0."""
    from switchpoint.command.runs.steps import rounds

    candidates, seeds, searches = rounds(parameters), parameters.get("seeds", []), parameters.get("search") == "halving"
    alone = step["name"] == "evaluate" and step["switch_epoch"] is None and not searches
    way = ["Evaluate transfer alone" if alone else TITLES[step["name"]]]
    candidate = step["switch_epoch"] or 0, step["learning_rate"] or 0.0
    if rung := step.get("rung"):
        way[0] += f", rung {rung}"
        known = [f"for-loop-1.{candidates.index(candidate)}"] if candidate in candidates else []
        loop = [f"rung {rung}", "OPEN SUB-DAG", *known]
        return ", ".join([*loop, *way] if step["name"] == "finetune" else way)
    if candidate in candidates and not searches:
        way = ["for each candidate", "OPEN SUB-DAG", f"for-loop-2.{candidates.index(candidate)}", *way]
    if step["seed"] in seeds:
        loops = 3 if searches else 1  # the rungs' come first
        way = ["for each seed", "OPEN SUB-DAG", f"for-loop-{loops}.{seeds.index(step['seed'])}", "OPEN SUB-DAG", *way]
    return ", ".join(way)
