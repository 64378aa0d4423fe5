"""What a dataset holds, looked at without TensorFlow."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from switchpoint.data import survey as module
from switchpoint.data.sources import open_source
from switchpoint.data.survey import Survey, dropped, leaked, survey

Make = Callable[..., Path]


def look(root: Path) -> Survey:
    with tempfile.TemporaryFile() as spool, tempfile.TemporaryFile() as prints:
        return survey(open_source(str(root), 1), 0.25, 1, spool, prints, lambda _: None, workers=2)


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
