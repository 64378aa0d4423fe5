"""What a step left behind is remembered, and what has changed since is found: cheaply, unless all shall be read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from switchpoint.command.runs import outputs
from switchpoint.command.runs.outputs import Output, changed, remember


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Output]:
    """A folder with a folder in it, and a file, as a step leaves them."""
    (tmp_path / "records" / "inner").mkdir(parents=True)
    (tmp_path / "records" / "manifest.json").write_text("{}")
    (tmp_path / "records" / "inner" / "shard").write_bytes(bytes(1000))
    (tmp_path / "source").write_text("photos")
    found = {"records": Output(tmp_path / "records", "abc"), "source": Output(tmp_path / "source", None)}
    remember(found)
    return found


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose contents are read from now on."""
    found: list[str] = []
    digest = outputs.file_digest

    def noted(path: Path) -> str:
        found.append(path.name)
        return digest(path)

    monkeypatch.setattr(outputs, "file_digest", noted)
    return found


def test_what_is_as_it_was_is_not_read(made: dict[str, Output], monkeypatch: pytest.MonkeyPatch) -> None:
    found = reads(monkeypatch)
    assert changed(made) == ""
    assert found == []


def test_another_time_is_no_change_and_is_looked_into_once(
    made: dict[str, Output], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = reads(monkeypatch)
    os.utime(made["source"].path, (1, 1))
    assert changed(made, refresh=False) == changed(made) == changed(made) == ""
    assert found == ["source"] * 2


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda place: (place / "records/inner/shard").write_bytes(bytes(900)), "its records were changed since"),
        (
            lambda place: (place / "records/inner/shard").write_bytes(bytes([1] * 1000)),
            "its records were changed since",
        ),
        (lambda place: (place / "records/manifest.json").unlink(), "its records were changed since"),
        (lambda place: (place / "source").unlink(), "its source was changed since"),
        (
            lambda place: [(place / name).write_text("other") for name in ("source", "records/manifest.json")],
            "its records and source were changed since",
        ),
        (lambda place: (place / outputs.NAME).unlink(), "nothing was noted of its outputs when they were made"),
        (
            lambda place: (place / outputs.NAME).write_text('{"records": []'),
            "what was noted of its outputs can't be read",
        ),
        (lambda place: (place / outputs.NAME).write_text("{}"), "what was noted of its outputs can't be read"),
    ],
    ids=["cut", "changed", "gone", "file gone", "two", "nothing noted", "torn note", "empty note"],
)
def test_a_change_is_told(made: dict[str, Output], tmp_path: Path, spoil: Callable[[Path], object], why: str) -> None:
    spoil(tmp_path)
    assert changed(made) == why


def test_only_reading_finds_what_kept_its_size_and_time(made: dict[str, Output]) -> None:
    path = made["source"].path
    before = path.stat().st_mtime_ns
    path.write_text("PHOTOS")
    os.utime(path, ns=(before, before))
    assert changed(made) == ""
    assert changed(made, contents=True) == "its source was changed since"


def test_another_digest_than_the_step_gave_is_a_change(made: dict[str, Output]) -> None:
    assert changed(made | {"records": made["records"]._replace(digest="def")}) == "its records were changed since"


def test_what_came_to_lie_beside_it_is_no_change(made: dict[str, Output]) -> None:
    (made["records"].path / ".DS_Store").touch()
    assert changed(made) == ""
