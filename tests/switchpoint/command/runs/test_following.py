"""A run seen from another terminal: as it goes, and what it said."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from switchpoint.command.cli.main import main
from switchpoint.command.errors import NoLogError
from switchpoint.command.runs import following, housekeeping, store
from switchpoint.progress import Progress


class Going:
    """A run under way; what happens to it next happens where the follower would sleep."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.document: Any = store.create(place, {"switch_epochs": [2], "seeds": [1]}, "subprocess")
        self.next: list[Callable[[], None]] = []
        self.write()

    def write(self, **steps: str) -> None:
        """Steps by their names, in these states; a run of which all have ended is over."""
        for name, state in steps.items():
            step = {
                "name": name,
                "seed": None,
                "switch_epoch": None,
                "learning_rate": None,
                "state": state,
                "why": "first run",
            }
            step |= {"seconds": 1.0, "inputs": {}, "outputs": {}}
            self.document["steps"] = [each for each in self.document["steps"] if each["name"] != name] + [step]
        store.write(self.place, self.document)

    def prints(self, name: str, text: str) -> None:
        with (self.place / self.document["id"] / "logs" / f"{name}.log").open("a") as file:
            file.write(text)

    def ends(self, state: str = "succeeded") -> None:
        self.document["state"] = state
        store.write(self.place, self.document)

    def sleep(self, _: float) -> None:
        self.next.pop(0)()


@pytest.fixture
def going(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Going]:
    run = Going(tmp_path)
    monkeypatch.setattr(following.time, "sleep", run.sleep)
    with store.alive(tmp_path, run.document):
        yield run


class Seen:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.steps: set[int] = set()

    def _note(self, step: Any, text: str) -> None:
        self.told.append(f"{step['name']} {text}")
        self.steps.add(id(step))

    def started(self, step: Any) -> None:
        self._note(step, "started")

    def line(self, step: Any, text: str) -> None:
        self._note(step, text)

    def ended(self, step: Any) -> None:
        self._note(step, step["state"])


def test_a_run_is_told_as_where_it_was_started(going: Going) -> None:
    going.write(prepare="ran", transfer="running", finetune="pending")
    going.prints("prepare", "prepare: of before\n")
    going.prints("transfer", "one\ntw")

    def goes_on() -> None:
        going.prints("transfer", "o\nlast, without an end")

    def next_step() -> None:
        going.write(transfer="ran", finetune="running")

    def end() -> None:
        going.write(finetune="failed")
        going.ends("failed")

    going.next = [goes_on, next_step, end]
    seen = Seen()
    assert following.follow(going.place, going.document["id"], seen)["state"] == "failed"
    assert seen.told == [
        "prepare ran", "transfer started", "transfer one", "transfer two", "transfer last, without an end",
        "transfer ran", "finetune started", "finetune failed",
    ]  # fmt: skip
    assert len(seen.steps) == 3, "each step is one object, by which a watcher knows it"


def test_following_ends_in_time(going: Going) -> None:
    assert following.follow(going.place, going.document["id"], Seen(), timeout=0)["state"] == "running"


def said(going: Going, *words: str) -> Result:
    return CliRunner().invoke(main, [*words, "--runs-dir", str(going.place)])


def test_show_says_how_far_a_step_is(going: Going) -> None:
    going.write(prepare="cached", transfer="running")
    going.prints("transfer", "noise\ntransfer: " + Progress("epoch", 3, 14, 33, {"val_accuracy": 0.5}).text + "\n")
    output = said(going, "show").output
    assert "transfer       running: epoch 3/14, val_accuracy 0.500, 33 s left\n" in output
    assert output.endswith("The run is running. Stay with it: add -f.\n")
    going.next = [lambda: going.write(transfer="ran"), lambda: going.ends("interrupted")]
    followed = said(going, "show", "-f")
    assert followed.exit_code == 1 and "transfer       done in 1.0 s" in followed.output
    assert followed.output.endswith("The run was interrupted.\n")
    assert said(going, "show", "--wait").exit_code == 1, "it has ended, and not well"


def test_logs_of_all_steps_or_of_one(going: Going) -> None:
    going.write(prepare="ran", transfer="running")
    going.prints("prepare", "a\n")
    going.prints("transfer", "b\nc\nnot whole")
    both = said(going, "logs")
    assert both.output == "==> prepare <==\na\n==> transfer <==\nb\nc\n"
    run = going.document["id"]
    assert said(going, "logs", run, "trans").output == "==> transfer <==\nb\nc\n"
    going.next = [lambda: going.prints("transfer", " yet\n"), going.ends]
    assert said(going, "logs", run, "transfer", "-f").output == "==> transfer <==\nb\nc\nnot whole yet\n"
    wrong = said(going, "logs", run, "evaluate")
    assert wrong.exit_code == 1 and "has no step evaluate. It has: prepare, transfer." in wrong.output
    with pytest.raises(NoLogError):
        list(following.lines(going.place, run, "evaluate", follows=True))


def test_the_log_of_a_cached_step_is_that_of_the_run_that_made_it(going: Going) -> None:
    going.prints("prepare", "made here\n")
    going.write(prepare="ran")
    going.ends()
    path = going.place / "artifacts" / going.document["id"] / "prepare" / "records"
    again = Going(going.place)
    again.write(prepare="cached")
    again.document["steps"][0]["outputs"] = {"records": str(path)}
    again.ends()
    assert said(again, "logs", again.document["id"]).output == "==> prepare <==\nmade here\n"
    housekeeping.remove(going.place, [going.document["id"]])
    assert "went with the run that made it" in said(again, "logs", again.document["id"]).output


def test_a_name_and_a_note_may_come_later_and_go_again(going: Going) -> None:
    run = going.document["id"]
    assert said(going, "note", run, "--name", "before lunch", "--note", "with the old photos").exit_code == 0
    going.write()  # its command, which knows nothing of that
    (document,) = store.every(going.place)
    assert (document["name"], document["note"]) == ("before lunch", "with the old photos")
    assert store.find(going.place, "before lunch")["id"] == run
    assert said(going, "show", "before lunch").output.startswith(f"Run {run}, before lunch\nwith the old photos\n")
    assert said(going, "note", "before lunch", "--name", "").exit_code == 0
    (document,) = store.every(going.place)
    assert "name" not in document and document["note"] == "with the old photos"
    assert said(going, "note", run, "--name", "two\nlines").exit_code == 2
    assert said(going, "note", run).exit_code == 2


def test_a_run_is_named_when_it_starts(tmp_path: Path) -> None:
    made = store.create(tmp_path, {}, "subprocess", {"name": "first", "note": ""})
    store.write(tmp_path, made)
    assert made["name"] == "first" and "note" not in made
    assert store.find(tmp_path, "first")["id"] == made["id"]
