"""What a dataset holds, looked at without TensorFlow."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from switchpoint.data import survey as module
from switchpoint.data.manifest import SPLITS
from switchpoint.data.sources import open_source
from switchpoint.data.split import cut
from switchpoint.data.survey import Survey, dropped, leaked, survey

Make = Callable[..., Path]


def look(root: Path) -> Survey:
    with tempfile.TemporaryFile() as spool, tempfile.TemporaryFile() as prints:
        return survey(open_source(str(root)), 0.25, 1, spool, prints, lambda _: None, workers=2)


def test_copies_across_splits_and_classes_are_dropped_as_the_rule_says(folder: Make) -> None:
    root = folder(**{f"{split}/{name}": 6 for split in ("train", "val", "test") for name in ("a", "b")})
    shutil.copy(root / "test" / "a" / "001.jpg", root / "train" / "a" / "leak.jpg")
    shutil.copy(root / "test" / "a" / "001.jpg", root / "val" / "a" / "leak.jpg")
    shutil.copy(root / "test" / "b" / "002.jpg", root / "train" / "a" / "doubt.jpg")
    shutil.copy(root / "train" / "b" / "003.jpg", root / "train" / "b" / "twice.jpg")
    found = look(root)
    kinds = sorted((entry["kind"], entry["photos"], entry["exact"]) for entry in found.duplicates)
    assert kinds == [
        ("across classes", ["test/b/002.jpg", "train/a/doubt.jpg"], True),
        ("across splits", ["test/a/001.jpg", "train/a/leak.jpg", "val/a/leak.jpg"], True),
        ("across splits", ["test/b/002.jpg", "train/a/doubt.jpg"], True),
        ("within a class", ["train/b/003.jpg", "train/b/twice.jpg"], True),
    ]
    assert {entry["photo"]: entry["reason"] for entry in dropped(found.photos, found.duplicates)} == {
        "test/b/002.jpg": "its label is in doubt: another class has a copy (train/a/doubt.jpg)",
        "train/a/doubt.jpg": "its label is in doubt: another class has a copy (test/b/002.jpg)",
        "train/a/leak.jpg": "a copy of test/a/001.jpg, which is in test",
        "val/a/leak.jpg": "a copy of test/a/001.jpg, which is in test",
    }
    assert leaked(found.photos, found.duplicates) == {"test/a/001.jpg", "test/b/002.jpg"}
    gone = {entry["photo"] for entry in dropped(found.photos, found.duplicates)}
    assert leaked([photo for photo in found.photos if photo.name not in gone], found.duplicates) == set()


def splits(root: Path) -> dict[str, str]:
    return {photo.name: photo.split for photo in look(root).photos}


def test_photos_that_come_and_go_move_no_other(folder: Make) -> None:
    root = folder(a=30, b=30)
    before = splits(root)
    assert Counter(before.values()) == {"train": 40, "validation": 9, "test": 11}
    added = folder("more", a=40, b=20, c=15)
    for photo in added.glob("*/*"):
        (root / photo.parent.name).mkdir(exist_ok=True)
        shutil.copy(photo, root / photo.parent.name / f"new {photo.name}")
    for name in list(before)[::7]:
        (root / name).unlink()
    after = splits(root)
    assert len(after) == 60 - 9 + 75
    assert {name: after[name] for name in before if name in after} == {
        name: split for name, split in before.items() if name in after
    }
    (root / "a" / "001.jpg").rename(root / "b" / "renamed.jpg")
    assert splits(root)["b/renamed.jpg"] == before["a/001.jpg"]
    shutil.copytree(root / "a", root / "copies")  # of one photo all are in one split
    same = splits(root)
    assert all(same[f"copies/{path.name}"] == same[f"a/{path.name}"] for path in (root / "a").iterdir())


def test_what_is_cut_has_its_share_and_follows_the_seed_alone() -> None:
    contents = [sha256(bytes([number % 256, number // 256])).digest() for number in range(20_000)]

    def shares(own: Any, validation: float, seed: int = 1) -> list[float]:
        found = Counter(cut(content, own, validation, seed) for content in contents)
        return [found[split] / len(contents) for split in SPLITS]

    assert shares((), 0.1) == pytest.approx([0.72, 0.08, 0.2], abs=0.01)  # three and a half standard errors
    assert shares({"test"}, 0.1) == pytest.approx([0.9, 0.1, 0], abs=0.01)
    assert shares({"train", "validation"}, 0.1) == pytest.approx([0.8, 0, 0.2], abs=0.01)
    assert shares(set(SPLITS), 0.1) == [1, 0, 0]
    tested = [{content for content in contents if cut(content, (), 0.1, seed) == "test"} for seed in (1, 2)]
    assert len(tested[0] & tested[1]) / len(tested[0]) == pytest.approx(0.2, abs=0.03)


def test_only_a_few_photos_are_in_memory_at_once() -> None:
    started = 0

    def items() -> Any:
        nonlocal started
        for item in range(1000):
            started += 1
            yield item

    results = module._in_order(lambda item: item * 2, items(), workers=2)
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    assert started <= 5 + 8
    assert list(results) == list(range(10, 2000, 2))
