"""What a run's document says at each moment: others read it while the run goes."""

import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl
from kfp.local import cache, executor_input_utils, status, task_dispatcher

from switchpoint.command.local import run as local_run
from switchpoint.command.local.processes import Processes
from switchpoint.command.parameters import resolve
from switchpoint.command.runs import store
from switchpoint.command.runs.steps import place

PARAMETERS = {"seeds": [1, 2], "switch_epochs": [1, 2], "dataset_digest": "d" * 64, "weights_digest": "e" * 64}


class Silent:
    def started(self, step: Any) -> None: ...
    def line(self, step: Any, text: str) -> None: ...
    def ended(self, step: Any) -> None: ...


def stub(*, component_spec: Any, **_: object) -> Any:
    """A step that ends at once, and leaves an empty file for each output."""
    place = Path(executor_input_utils.construct_local_task_root())  # type: ignore[call-arg]
    place.mkdir(parents=True)
    outputs = {
        name: dsl.Artifact(name=name, uri=str(place / name)) for name in component_spec.output_definitions.artifacts
    }
    for artifact in outputs.values():
        Path(artifact.uri).touch()
    return outputs, status.Status.SUCCESS


@pytest.fixture
def saves(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every document that is written, and those that a round beside it would write while a step looks at the cache."""
    found: list[Any] = []
    write, get, come = store.write, cache.LocalCache.get, local_run._Run.__init__

    def written(runs: Path, document: Any) -> None:
        write(runs, document)
        found.append(json.loads((runs / document["id"] / store.MANIFEST).read_text()))

    def begun(self: Any, *arguments: Any) -> None:
        come(self, *arguments)

        def beside(this: Any, key: str) -> Any:
            self.save()
            return get(this, key)

        monkeypatch.setattr(cache.LocalCache, "get", beside)

    monkeypatch.setattr(task_dispatcher, "run_single_task_implementation", stub)
    monkeypatch.setattr(store, "write", written)
    monkeypatch.setattr(local_run._Run, "__init__", begun)
    monkeypatch.setattr(local_run, "fill_in", lambda *_: None)
    return found


def states(saves: list[Any]) -> dict[Any, list[str]]:
    """The states of each step, in the order in which they were written."""
    found: dict[Any, list[str]] = {}
    for document in saves:
        for step in document["steps"]:
            seen = found.setdefault(place(step), [])
            if step["state"] not in seen[-1:]:
                seen.append(step["state"])
    saves.clear()
    return found


def go(runs: Path) -> None:
    document = store.create(runs, resolve("demo", PARAMETERS), "subprocess")
    local_run._run(document, runs, Silent(), False, [], Processes())
    assert document["state"] == "succeeded"


def test_a_step_is_cached_once_it_was_found_and_not_before(tmp_path: Path, saves: list[Any]) -> None:
    go(tmp_path)
    first = states(saves)
    assert len(first) == 1 + 2 * (3 + 2 * 2) + 1
    assert set(map(tuple, first.values())) == {("pending", "running", "ran")}
    go(tmp_path)
    assert set(map(tuple, states(saves).values())) == {("pending", "cached")}
