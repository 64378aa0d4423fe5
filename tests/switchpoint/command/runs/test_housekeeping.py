"""What is removed is nothing that a run needs that stays, also where the removal is killed."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from switchpoint.command.cli.main import main
from switchpoint.command.cli.quantities import lasting, size
from switchpoint.command.errors import RunNotFoundError, RunUnderWayError
from switchpoint.command.runs import artifacts, housekeeping, store

SIZE = 10_000


class Runs:
    """Runs whose steps are as told; each artifact is one file."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / store.CACHE).mkdir()
        self.made = 0

    def add(self, state: str = "succeeded", **steps: str | None) -> dict[str, Any]:
        """A run with these steps: each made by itself (None), or taken from a run (its id)."""
        document: Any = store.create(self.place, {"switch_epochs": [1], "seeds": [1]}, "subprocess")
        self.made += 1
        document |= {"state": state, "started": f"2026-01-01T00:00:{self.made:02d}.000+00:00"}
        for name, run in steps.items():
            step = {"name": name, "seed": None, "switch_epoch": None, "learning_rate": None}
            step["state"] = "cached" if run else "ran"
            path = artifacts.directory(self.place, run or document["id"], step) / "model"  # type: ignore[arg-type]
            document["steps"].append(step | {"inputs": {}, "outputs": {"model": str(path)}})
            if not run:
                path.parent.mkdir(parents=True)
                path.write_bytes(bytes(SIZE))
                entry = {"model": {"uri": store.relative(self.place, str(path))}}
                (self.place / store.CACHE / f"{document['id']}-{name}.json").write_text(json.dumps(entry))
        store.write(self.place, document)
        return document

    def steps(self) -> set[str]:
        """What was made and is there, as RUN/STEP; the cache knows neither more nor less."""
        found = {str(path.parent.relative_to(self.place)) for path in self.place.glob("artifacts/*/*/model")}
        entries = (json.loads(path.read_text()) for path in (self.place / store.CACHE).glob("*.json"))
        assert {str(Path(entry["model"]["uri"]).parent) for entry in entries} == found
        return {name.removeprefix("artifacts/") for name in found}


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def test_an_artifact_stays_for_as_long_as_a_run_has_it(runs: Runs) -> None:
    first = runs.add(prepare=None, transfer=None, report=None)["id"]
    second = runs.add(prepare=first, transfer=first, report=None)["id"]
    third = runs.add(prepare=first, transfer=None, report=None)["id"]
    documents = store.every(runs.place)
    own = housekeeping.sizes(runs.place, documents)
    removed = housekeeping.remove(runs.place, [first])
    assert removed.runs == [first] and removed.artifacts == [f"artifacts/{first}/report"]
    assert SIZE < removed.bytes == own[first] < 2 * SIZE  # its document, too
    assert runs.steps() == {f"{first}/prepare", f"{first}/transfer", f"{second}/report"} | {
        f"{third}/{name}" for name in ("transfer", "report")
    }
    assert set(housekeeping.remove(runs.place, [second[:20]]).artifacts) == {
        f"artifacts/{first}/transfer",
        f"artifacts/{second}/report",
    }
    housekeeping.remove(runs.place, [third])
    assert runs.steps() == set() and list(runs.place.glob("artifacts/*")) == []


def test_a_file_with_another_name_elsewhere_frees_nothing(runs: Runs) -> None:
    first = runs.add(transfer=None)
    model = Path(first["steps"][0]["outputs"]["model"])
    before = housekeeping.freed([model.parent])
    model.with_name("twice").hardlink_to(model)
    assert housekeeping.freed([model.parent]) == before == SIZE
    model.with_name("twice").rename(runs.place / "elsewhere")
    assert housekeeping.freed([model.parent]) == 0


def test_a_run_under_way_is_not_removed_and_neither_is_what_it_takes_or_makes(runs: Runs) -> None:
    first = runs.add(prepare=None)["id"]
    going = runs.add("running", prepare=first)
    (runs.place / "artifacts" / going["id"] / "transfer").mkdir(parents=True)  # no output is in the document yet
    with store.alive(runs.place, going):  # type: ignore[arg-type]
        with pytest.raises(RunUnderWayError, match=f"{going['id']} is under way"):
            housekeeping.remove(runs.place, [first, going["id"]])
        assert len(store.every(runs.place)) == 2
        assert housekeeping.collect(runs.place, keep=0, dry_run=False).runs == [first]
    assert runs.steps() == {f"{first}/prepare"}
    assert (runs.place / "artifacts" / going["id"] / "transfer").is_dir()
    assert housekeeping.collect(runs.place, keep=None, dry_run=False).artifacts == [
        f"artifacts/{going['id']}/transfer"
    ], "a run that is gone makes nothing any more"


def test_who_removes_waits_for_a_run_that_takes_something(runs: Runs) -> None:
    first = runs.add(prepare=None)["id"]
    remover = threading.Thread(target=housekeeping.remove, args=(runs.place, [first]))
    with store.held(runs.place):
        remover.start()
        remover.join(0.3)
        assert remover.is_alive()
        second = runs.add("running", prepare=first)
        store.write(runs.place, second)  # type: ignore[arg-type]
    remover.join(20)
    assert runs.steps() == {f"{first}/prepare"}


def test_states_stay_while_a_run_would_go_on_from_them(runs: Runs) -> None:
    killed, ended = runs.add("interrupted")["id"], runs.add()["id"]
    (runs.place / store.STATES / "key").mkdir(parents=True)
    said = "Removed the states of killed trainings: no run is left that would go on from one.\n"
    flags = ("--runs-dir", str(runs.place))
    assert said not in CliRunner().invoke(main, ["rm", ended, *flags]).output
    assert (runs.place / store.STATES).is_dir()
    assert said in CliRunner().invoke(main, ["rm", killed, *flags]).output
    assert not (runs.place / store.STATES).exists()


@pytest.mark.parametrize("kill", range(9))
def test_killed_anywhere_it_leaves_nothing_half_and_the_next_ends_it(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, kill: int
) -> None:
    first = runs.add(prepare=None, transfer=None, report=None)["id"]
    second = runs.add(prepare=first, report=None)["id"]
    calls = 0

    def killed(original: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == kill + 1:
                raise KeyboardInterrupt
            return original(*arguments, **keywords)

        return act

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        for owner, name in ((Path, "rename"), (Path, "unlink"), (Path, "rmdir"), (Path, "mkdir"), (shutil, "rmtree")):
            patched.setattr(owner, name, killed(getattr(owner, name)))
        housekeeping.remove(runs.place, [first])
        raise KeyboardInterrupt  # it was over before
    assert calls, "nothing was seen"
    entries = [json.loads(path.read_text())["model"]["uri"] for path in (runs.place / store.CACHE).glob("*.json")]
    assert all((runs.place / uri).stat().st_size == SIZE for uri in entries)
    (stays,) = (run for run in store.every(runs.place) if run["id"] == second)
    assert all(Path(step["outputs"]["model"]).is_file() for step in stays["steps"])
    housekeeping.collect(runs.place, keep=1, dry_run=False)
    assert runs.steps() == {f"{first}/prepare", f"{second}/report"}
    assert not (runs.place / housekeeping.TRASH).exists()


def test_what_a_run_left_that_was_killed_at_its_birth_goes(runs: Runs) -> None:
    (runs.place / "20260101-000000-abcd" / "logs").mkdir(parents=True)
    (runs.place / "my own notes").mkdir()
    housekeeping.collect(runs.place, keep=None, dry_run=True)
    assert (runs.place / "20260101-000000-abcd").is_dir()
    housekeeping.collect(runs.place, keep=None, dry_run=False)
    assert not (runs.place / "20260101-000000-abcd").exists() and (runs.place / "my own notes").is_dir()


def test_a_mistyped_run_removes_none(runs: Runs) -> None:
    first = runs.add(prepare=None)["id"]
    with pytest.raises(RunNotFoundError, match="are called 1999"):
        housekeeping.remove(runs.place, [first, "1999"])
    assert runs.steps() == {f"{first}/prepare"}


@pytest.mark.parametrize("words", [["rm", ""], ["note", "", "--name", "wrong"]], ids=lambda words: words[0])
def test_an_empty_text_is_not_the_newest_run(runs: Runs, words: list[str]) -> None:
    first = runs.add(prepare=None)["id"]
    done = CliRunner().invoke(main, [*words, "--runs-dir", str(runs.place)])
    assert done.exit_code == 1 and done.output.startswith("Error: An empty text names no run.")
    (document,) = store.every(runs.place)
    assert document["id"] == first and "name" not in document and runs.steps() == {f"{first}/prepare"}


def test_what_a_run_made_that_ends_meanwhile_stays(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    going = runs.add(report=None)
    store.write(runs.place, going | {"state": "running", "steps": []})  # type: ignore[arg-type]
    answers = iter([True])  # when it is looked for what may go; and then, for what is needed, it ends

    def ends(*_: object) -> bool:
        if next(answers, False):
            return True
        store.write(runs.place, going)  # type: ignore[arg-type]
        return False

    monkeypatch.setattr(store, "_lives", ends)
    assert housekeeping.collect(runs.place, keep=None, dry_run=False).artifacts == []
    assert runs.steps() == {f"{going['id']}/report"}


def test_what_the_commands_say(runs: Runs) -> None:
    first, second = (runs.add(prepare=None)["id"] for _ in range(2))
    flags = ("--runs-dir", str(runs.place))

    def said(*words: str) -> str:
        done = CliRunner().invoke(main, [*words, *flags])
        assert done.exit_code == 0, done.output
        return done.output

    dry = said("gc", "--keep", "1", "--dry-run")
    assert dry.startswith(f"Would remove run {first}\nWould remove artifacts/{first}/prepare\nWould remove 1 run and ")
    assert len(store.every(runs.place)) == 2 and not (runs.place / ".lock").exists()
    done = json.loads(said("gc", "--keep", "1", "--json"))
    assert done["runs"] == [first] and done["bytes"] > SIZE
    assert said("rm", second).splitlines()[0] == f"Removed run {second}"
    assert said("gc").startswith("Removed 0 runs and what 0 steps made: ")


@pytest.mark.parametrize(("words", "code"), [(["gc"], 0), (["rm", "2026"], 1)], ids=["gc", "rm"])
def test_an_empty_folder_is_not_written(tmp_path: Path, words: list[str], code: int) -> None:
    done = CliRunner().invoke(main, [*words, "--runs-dir", str(tmp_path / "none")])
    assert done.exit_code == code and (code == 0 or f"There is no run in {tmp_path / 'none'} yet" in done.output)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1234, "1 kB"), (12_345_678, "12.3 MB"), (10**13, "10.0 TB")]
)
def test_bytes_are_read_by_people(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (95, "2 min"), (12_000, "3 h 20 min")])
def test_times_are_read_by_people(seconds: float, text: str) -> None:
    assert lasting(seconds) == text
