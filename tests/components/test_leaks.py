"""Photos that are there more than once: told, dropped or refused by prepare."""

import html
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from switchpoint.command.check import of_manifest
from switchpoint.data.manifest import SPLITS
from switchpoint.errors import DatasetError
from tests.components.test_prepare import files, names, run

pytestmark = pytest.mark.slow  # all write records, for which TensorFlow is imported
Make = Callable[..., Path]


def test_the_same_photo_in_two_places_is_reported(official: Make, tmp_path: Path) -> None:
    root = official("a", "b")
    photos = root / "images"
    shutil.copy(photos / "a" / "0.jpg", photos / "b" / "0.jpg")
    shutil.copy(photos / "a" / "1.jpg", photos / "a" / "5.jpg")
    shutil.copy(photos / "b" / "4.jpg", photos / "b" / "5.jpg")
    for twice in ("a/2.jpg", "b/2.jpg"):
        shutil.copy(photos / "a" / "3.jpg", photos / twice)
    duplicates = run(tmp_path / "out", root)["duplicates"]
    assert {"photos": ["a/0.jpg", "b/0.jpg"], "kind": "across classes", "exact": True} in duplicates
    assert {"photos": ["a/1.jpg", "a/5.jpg"], "kind": "across splits", "exact": True} in duplicates
    within = [entry["photos"] for entry in duplicates if entry["kind"] == "within a class"]
    assert within == [["a/2.jpg", "a/3.jpg"], ["b/4.jpg", "b/5.jpg"]]
    assert {"photos": ["a/2.jpg", "a/3.jpg", "b/2.jpg"], "kind": "across classes", "exact": True} in duplicates
    counted = json.loads((tmp_path / "out" / "source").read_text())["duplicates"]
    assert counted == Counter(entry["kind"] for entry in duplicates)


@pytest.fixture
def leaky(official: Make) -> Path:
    """A test photo that trains, too, and a photo in two classes."""
    photos = official("a", "b") / "images"
    shutil.copy(photos / "a" / "5.jpg", photos / "a" / "1.jpg")
    shutil.copy(photos / "a" / "3.jpg", photos / "b" / "2.jpg")
    return photos.parent


def test_leaked_photos_are_told_to_the_report(leaky: Path, tmp_path: Path) -> None:
    manifest = run(tmp_path / "out", leaky)
    source = json.loads((tmp_path / "out" / "source").read_text())
    assert [names(tmp_path / "out", "test")[number] for number in source["leaked"]] == ["a/5.jpg"]
    assert (source["dropped"], manifest["dropped"]) == (0, [])
    look = (tmp_path / "out" / "look").read_text()
    assert look.count("<img") == 4 + 2  # the copies, and a photo of each class
    assert "Validation: cut from the training photos; test: the dataset's own." in html.unescape(look)


def test_leaks_are_dropped_when_asked(leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = run(tmp_path / "out", leaky, leaks="drop")
    gone = [entry["photo"] for entry in manifest["dropped"]]
    assert gone == ["a/1.jpg", "a/3.jpg", "b/2.jpg"]
    found = {name for split in SPLITS for name in names(tmp_path / "out", split)}
    assert len(found) == 9 and not found & set(gone)
    source = json.loads((tmp_path / "out" / "source").read_text())
    assert (source["dropped"], source["leaked"], source["left_out"]) == (3, [], 0)
    # A model of before they were dropped was trained on them.
    assert [names(tmp_path / "out", "test")[number] for number in source["copied"]] == ["a/5.jpg"]
    assert "prepare: dropped 'a/1.jpg': a copy of a/5.jpg, which is in test" in capsys.readouterr().out
    assert "Copies that are not used: 3" in (tmp_path / "out" / "look").read_text()


def test_copies_that_are_gone_are_not_counted(folder: Make, tmp_path: Path) -> None:
    root = folder(**{f"{split}/{name}": 4 for split in ("train", "val", "test") for name in ("a", "b")})
    for name in ("000", "001"):
        shutil.copy(root / "test" / "a" / "000.jpg", root / "train" / "a" / f"{name}.jpg")
    shutil.copy(root / "train" / "b" / "000.jpg", root / "train" / "b" / "001.jpg")
    manifest = run(tmp_path / "out", root, leaks="drop")
    assert ["train/a/000.jpg", "train/a/001.jpg"] in [same["photos"] for same in manifest["duplicates"]]
    assert json.loads((tmp_path / "out" / "source").read_text())["duplicates"] == {"within a class": 1}
    left = [same["photos"] for same in of_manifest(manifest)["duplicates"]]
    assert left == [["train/b/000.jpg", "train/b/001.jpg"]]


def test_a_class_that_only_copies_train_is_refused(folder: Make, tmp_path: Path) -> None:
    root = folder(**{f"{split}/{name}": 3 for split in ("train", "val", "test") for name in ("a", "b", "c")})
    for split in ("train", "val"):
        shutil.rmtree(root / split / "c")
        shutil.copytree(root / "test" / "c", root / split / "c")
    assert run(tmp_path / "reported", root)["splits"]["train"]["per_class"] == [3, 3, 3]
    with pytest.raises(DatasetError, match=r"no training photo is left of 'c': .* leaks=drop"):
        run(tmp_path / "out", root, leaks="drop")
    assert files(tmp_path / "out") == {}


def test_leaks_are_refused_when_asked(leaky: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"3 photos have a copy .*\(leaks=fail\); first: a/1\.jpg .*leaks=drop"):
        run(tmp_path / "out", leaky, leaks="fail")
    assert files(tmp_path / "out") == {}
