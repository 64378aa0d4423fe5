"""Photos, classes and splits that prepare leaves out, names or refuses."""

import os
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from switchpoint import progress
from switchpoint.data.manifest import read_manifest
from switchpoint.data.split import cut
from switchpoint.errors import DatasetError
from tests.components.test_prepare import files, run

pytestmark = pytest.mark.slow  # nearly all write records, for which TensorFlow is imported
Make = Callable[..., Path]


def test_all_kinds_of_unreadable_photos_are_listed(folder: Make, tmp_path: Path, jpeg: Callable[..., bytes]) -> None:
    root = folder(a=10, b=10)
    for name, data in {
        "empty.jpg": b"",
        "half.jpg": jpeg(1, size=(200, 200))[:2000],
        "page.jpg": b"<html>404</html>",
        "notes.txt": b"buy milk",
    }.items():
        (root / "a" / name).write_bytes(data)
    (root / "b" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    with pytest.raises(DatasetError, match=r"can't be read: .*nowhere|gone"):
        run(tmp_path / "out", root, max_left_out=0.5)
    (root / "b" / "gone.jpg").unlink()
    manifest = run(tmp_path / "out", root, max_left_out=0.5)
    assert {entry["photo"]: entry["reason"].split("(")[0].strip() for entry in manifest["left_out"]} == {
        "a/empty.jpg": "empty file",
        "a/half.jpg": "image file is truncated",
        "a/notes.txt": "not an image",
        "a/page.jpg": "not an image",
    }
    assert sum(entry["photos"] for entry in manifest["splits"].values()) == 20


def test_too_many_unreadable_photos_leave_nothing_behind(folder: Make, tmp_path: Path) -> None:
    root = folder(good=30, bad=30)
    for index in range(20):
        (root / "bad" / f"{index:03d}.jpg").write_bytes(b"x")
    with pytest.raises(
        DatasetError, match=r"20 of 60 photos are unreadable, 0 may be .*bad \(20\); first: bad/000.jpg \(not an image"
    ):
        run(tmp_path / "out", root)
    assert files(tmp_path / "out") == {}
    assert run(tmp_path / "out", root, max_left_out=0.34)["splits"]["train"]["per_class"][0] > 0


def test_a_class_without_a_readable_photo_is_an_error(folder: Make, tmp_path: Path) -> None:
    root = folder(a=30, b=3)
    for path in (root / "b").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(DatasetError, match="no training photo is left of 'b'"):
        run(tmp_path / "out", root, max_left_out=0.9)


def test_a_split_that_would_be_empty_is_refused(folder: Make, tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"no photo for validation, of 4\. .*drawn\. Add photos, pass another seed or"
    ):
        run(tmp_path / "out", folder(a=2, b=2), validation_fraction=0.01)
    assert files(tmp_path / "out") == {}


def test_a_class_of_which_the_cut_leaves_nothing_to_train_is_refused(
    folder: Make, tmp_path: Path, jpeg: Callable[..., bytes]
) -> None:
    root = folder(a=9, b=9, c=0)
    drawn = [data for data in map(jpeg, range(20)) if cut(sha256(data).digest(), (), 0.2, 1) != "train"]
    for number, data in enumerate(drawn[:3]):
        (root / "c" / f"{number}.jpg").write_bytes(data)
    with pytest.raises(DatasetError, match=r"no photo of 'c' is in train: .*drawn.* Add photos, pass another seed or"):
        run(tmp_path / "out", root)


def test_an_official_test_split_without_a_photo_is_refused(official: Make, tmp_path: Path) -> None:
    root = official("a", "b")
    (root / "meta" / "test.txt").write_text("")
    with pytest.raises(DatasetError, match="no photo for test"):
        run(tmp_path / "out", root)


def test_a_small_class_among_others_is_named(folder: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "out", folder(a=9, b=2, c=1))
    said = capsys.readouterr().out
    assert "prepare: classes without a photo in validation, 1: 'c'" in said
    assert "prepare: classes without a photo in test, 2: 'b', 'c'" in said


def test_photos_without_a_class_are_said(
    folder: Make, tmp_path: Path, jpeg: Callable[..., bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(a=5, b=5)
    before = run(tmp_path / "before", root)
    capsys.readouterr()
    (root / "loose.jfif").write_bytes(jpeg("loose"))
    manifest = run(tmp_path / "out", root)
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith(f"prepare: {root}: 1 files lie beside the class folders")
    assert before["notes"] == [] and manifest["notes"] == [line.removeprefix(f"prepare: {root}: ")]
    assert read_manifest(tmp_path / "out" / "records") == manifest
    assert progress.read(line) == line.removeprefix("prepare: ")


@pytest.mark.skipif(sys.platform == "darwin", reason="HFS+ and APFS refuse names that are not UTF-8")
def test_a_photos_name_need_not_be_utf8(folder: Make, tmp_path: Path, jpeg: Callable[..., bytes]) -> None:
    root = folder(a=9, b=9)
    for name in (b"caf\xe9.jpg", b"th\xe9.jpg"):
        (root / "a" / os.fsdecode(name)).write_bytes(jpeg("x"))
        (root / "b" / os.fsdecode(name)).write_bytes(jpeg("x"))
    (root / "b" / os.fsdecode(b"p\xe2t\xe9.jpg")).write_bytes(b"broken")
    manifest = run(tmp_path / "out", root, max_left_out=0.1)
    assert [entry["photo"] for entry in manifest["left_out"]] == [os.fsdecode(b"b/p\xe2t\xe9.jpg")]
    assert "not an image" in (tmp_path / "out" / "look").read_text()
