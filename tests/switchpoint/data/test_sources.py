"""Folders of photos, in both layouts, and the drawn dishes."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from switchpoint import addresses
from switchpoint.data.sources import digest, open_source
from switchpoint.data.sources import dishes as sample
from switchpoint.errors import DatasetError
from tests.switchpoint.data.listings import contents, listing

Make = Callable[..., Path]


def test_importing_it_is_quick() -> None:
    code = "import sys, switchpoint.data.sources as _; print({'tensorflow', 'PIL', 'numpy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


# A folder


def test_a_folder_gives_classes_and_photos_in_order(folder: Make) -> None:
    root = folder(**{"żurek z jajkiem": 10, "apple pie": 25, "bread": 2})
    source = open_source(str(root))
    assert source.classes == ["apple pie", "bread", "żurek z jajkiem"]
    assert len(source) == 37
    names = [name for name, _, _ in listing(source)]
    assert names == sorted(names)
    assert Counter(label for _, label, _ in listing(source)) == {0: 25, 1: 2, 2: 10}
    assert {split for _, _, split in listing(source)} == {"train"}
    assert contents(source)["bread/001.jpg"] == (root / "bread" / "001.jpg").read_bytes()


def test_hidden_files_and_file_managers_leftovers_are_no_photos(folder: Make) -> None:
    root = folder(a=5, b=5)
    before = listing(open_source(str(root))), digest(str(root))
    for name in (".DS_Store", "a/.hidden.jpg", "a/Thumbs.db", "b/desktop.ini", ".git/config", "__MACOSX/a/._1.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"junk")
    assert (listing(open_source(str(root))), digest(str(root))) == before
    (root / "README.txt").touch()
    assert listing(open_source(str(root))) == before[0]


def test_the_digest_is_of_paths_and_contents(folder: Make, tmp_path: Path) -> None:
    root = folder(a=5, b=5)
    before = digest(str(root))
    assert open_source(str(root)).digest == before
    os.utime(root / "a" / "000.jpg", (0, 0))
    moved = root.rename(tmp_path / "moved")
    assert digest(str(moved)) == before
    (moved / "a" / "000.jpg").rename(moved / "a" / "zzz.jpg")
    renamed = digest(str(moved))
    (moved / "a" / "zzz.jpg").write_bytes(b"other")
    assert len({before, renamed, digest(str(moved))}) == 3


@pytest.mark.skipif(sys.platform == "darwin", reason="HFS+ and APFS refuse names that are not UTF-8")
def test_a_name_that_is_not_utf8_is_still_a_name(folder: Make, jpeg: Callable[..., bytes]) -> None:
    root = folder(a=3, b=3)
    (root / "a" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(jpeg("x"))
    assert len(open_source(str(root))) == 7
    assert len(digest(str(root))) == 64


@pytest.mark.skipif(sys.platform == "darwin", reason="HFS+ and APFS refuse names that are not UTF-8")
@pytest.mark.parametrize(
    ("name", "why"),
    [(os.fsdecode(b"caf\xe9"), r"'caf\\udce9' .*not UTF-8\. Rename"), ("[UNK]", r"'\[UNK\]' .*no class\. Rename")],
)
def test_a_class_that_no_model_can_name_is_refused(folder: Make, official: Make, name: str, why: str) -> None:
    with pytest.raises(DatasetError, match=why):
        open_source(str(folder(**{"apple pie": 3, name: 3})))
    if name.isascii():
        with pytest.raises(DatasetError, match=why):
            open_source(str(official("apple_pie", name)))


def test_every_other_name_is_kept_by_keras(folder: Make) -> None:
    import keras

    names = ["", " a", "[unk]", "a\nb", "e\u0301", "\u00e9", "\x01", "nan"]
    lookup = keras.layers.StringLookup(vocabulary=names, invert=True, num_oov_indices=0)
    assert [str(name) for name in lookup.get_vocabulary()] == names


def test_files_without_a_class_are_counted(folder: Make, official: Make) -> None:
    root = folder(a=3, b=3)
    assert open_source(str(root)).notes == []
    for name in ("one.JPG", "two.heic", "three.jfif", "four", ".hidden.jpg", "Thumbs.db"):
        (root / name).touch()
    assert open_source(str(root)).notes == [
        "4 files lie beside the class folders: without a class they are not used ('four', 'one.JPG', 'three.jfif', …)"
    ]
    root = official("apple_pie", "waffles")
    for name in ("README.txt", "license_agreement.txt", "images/waffles/new.jpg"):  # the first two are Food-101's
        (root / name).touch()
    assert open_source(str(root)).notes == [
        "1 photos lie in images/ but not in meta/: without a split they are not used ('images/waffles/new.jpg')"
    ]


def test_a_folder_of_loose_photos_alone_is_no_dataset(tmp_path: Path, jpeg: Callable[..., bytes]) -> None:
    (tmp_path / "one.jpg").write_bytes(jpeg(1))
    with pytest.raises(DatasetError, match=r"has 0 classes .*one sub-folder a class"):
        open_source(str(tmp_path))


def test_what_is_no_dataset_says_what_to_do(folder: Make, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"'nowhere' does not exist\. Pass sample, a folder"):
        open_source("nowhere")
    (tmp_path / "notes.txt").write_text("x" * 2000)
    with pytest.raises(DatasetError, match="is a file, but no tar archive, CSV or Parquet"):
        digest(str(tmp_path / "notes.txt"))
    with pytest.raises(DatasetError, match=r"has 1 classes \(only\); a classifier needs two"):
        open_source(str(folder("one", only=3)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="has 0 classes"):
        open_source(str(tmp_path / "empty"))
    root = folder("holes", a=3, b=3)
    (root / "c d").mkdir()
    (root / "c d" / ".keep").touch()
    with pytest.raises(DatasetError, match="no training photo in 1 classes, first 'c d'"):
        open_source(str(root))
    deep = folder("deep", cats=3, dogs=3)
    (deep / "cats" / "old").mkdir()
    (deep / "cats" / "old" / "1.jpg").touch()
    with pytest.raises(DatasetError, match=r"cats/old/1\.jpg lies too deep"):
        open_source(str(deep))


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_links_are_followed_and_broken_ones_named(folder: Make, tmp_path: Path) -> None:
    root = folder(a=3, b=3)
    (root / "c").symlink_to(root / "a", target_is_directory=True)
    assert open_source(str(root)).classes == ["a", "b", "c"]
    (root / "c").unlink()
    (root / "a" / "round").symlink_to(root / "a" / "round")
    with pytest.raises(DatasetError, match=r"can't be read: .*round"):
        digest(str(root))


# Folders of train, validation and test


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_a_split_in_folders_is_kept_and_photos_are_called_by_their_paths(folder: Make, validation: str) -> None:
    root = folder(**{f"{split}/{name}": 2 for split in ("train", validation, "test") for name in ("b", "a")})
    source = open_source(str(root))
    assert (source.classes, source.own) == (["a", "b"], {"train", "validation", "test"})
    split = {"train": "train", validation: "validation", "test": "test"}
    assert listing(source) == [
        (f"{place}/{name}/00{number}.jpg", label, split[place])
        for place in sorted(split)
        for label, name in enumerate("ab")
        for number in range(2)
    ]


def test_a_test_split_that_is_missing_is_not_among_its_own(folder: Make) -> None:
    root = folder(**{"train/a": 10, "train/b": 5, "val/a": 4, "val/b": 4})
    source = open_source(str(root))
    assert source.own == {"train", "validation"}
    assert Counter(split for _, _, split in listing(source)) == {"train": 15, "validation": 8}
    assert open_source(str(folder("plain", a=5, b=5))).own == set()


def test_what_is_wrong_with_a_split_in_folders_is_told(folder: Make) -> None:
    root = folder(**{"train/a": 3, "train/b": 3, "test/c": 3})
    with pytest.raises(DatasetError, match="no training photo in 1 classes, first 'c'"):
        open_source(str(root))
    root = folder("both", **{"train/a": 3, "val/a": 3, "validation/a": 3})
    with pytest.raises(DatasetError, match="has both val/ and validation/"):
        open_source(str(root))
    root = folder("deep", **{"train/a": 3, "train/b/old": 3})
    with pytest.raises(DatasetError, match=r"train/b/old/000\.jpg lies too deep"):
        open_source(str(root))
    root = folder("loose", **{"train/a": 3, "train/b": 3})
    (root / "train" / "x.jpg").touch()
    assert "('train/x.jpg')" in open_source(str(root)).notes[0]


# Food-101's layout


@pytest.mark.parametrize("meta", ["txt", "json"])
def test_the_official_layout_keeps_its_split_and_order(official: Make, meta: str) -> None:
    source = open_source(str(official("waffles", "apple pie", meta=meta)))
    assert source.classes == ["waffles", "apple pie"]
    assert listing(source) == [
        (f"{name}/{index}.jpg", label, "train" if index < 4 else "test")
        for name, label in (("apple pie", 1), ("waffles", 0))
        for index in range(6)
    ]


def test_a_broken_meta_says_what_is_wrong(official: Make) -> None:
    root = official("a", "b")
    meta = root / "meta"

    def refused(file: str, text: str, match: str) -> None:
        before = (meta / file).read_text()
        (meta / file).write_text(text)
        with pytest.raises(DatasetError, match=match):
            open_source(str(root))
        (meta / file).write_text(before)

    refused("train.txt", "a/0\na/77\nb/0\n", r"1 missing files, first images/a/77\.jpg")
    refused("train.txt", "a/0\n../../../etc/passwd\nb/0", r"1 missing files, first images/\.\./")
    refused("classes.txt", "a\n", "6 photos of classes that meta/classes.txt does not name")
    refused("classes.txt", "a\nb\na\n", "names a class twice")
    refused("classes.txt", "a\nb\nc\n", "no training photo in 1 classes, first 'c'")
    refused("test.txt", "a/0\nb/5\n", r"1 photos more than once, first images/a/0\.jpg")
    (meta / "train.txt").unlink()
    with pytest.raises(DatasetError, match=r"meta/train\.txt is missing"):
        open_source(str(root))
    (meta / "train.json").write_text("[1]")
    with pytest.raises(DatasetError, match="is not an object of lists"):
        open_source(str(root))
    (meta / "classes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="is not UTF-8"):
        open_source(str(root))


@pytest.mark.food101
def test_real_food101_keeps_its_split(food101_64px: Path) -> None:
    source = open_source(str(food101_64px))
    assert source.classes == (food101_64px / "meta" / "classes.txt").read_text().split()
    for split in ("train", "test"):
        official = json.loads((food101_64px / "meta" / f"{split}.json").read_text())
        found = {(photo.name, photo.label) for photo in source if photo.split == split}
        labels = {name: label for label, name in enumerate(source.classes)}
        assert found == {(f"{name}.jpg", labels[kind]) for kind, names in official.items() for name in names}


# Its archive


def test_the_sample_is_the_same_everywhere_and_quick() -> None:
    source = open_source("sample")
    assert len(source.classes) >= 10
    counts = Counter((photo.label, photo.split) for photo in source)
    assert set(counts.values()) == set(sample.PHOTOS.values())
    assert len(source) == counts.total()
    assert listing(source) == sorted(listing(open_source("sample")))
    start = time.process_time()
    some = [photo.read() for photo in source][::40]
    assert time.process_time() - start < 15  # 4 s on a quiet core
    assert some == [photo.read() for photo in list(source)[::40]]
    assert len(set(some)) == len(some)
    assert digest("sample") == source.digest


def test_the_samples_dishes_do_not_depend_on_hash_seed_or_order() -> None:
    code = (
        "import hashlib; from switchpoint.data.sources import open_source as o;"
        "print(hashlib.sha256(b''.join(p.read() for p in list(o('sample', 0))[{step}])).hexdigest())"
    )

    def run(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.check_output([sys.executable, "-c", code.format(step="::60")], env=environment, text=True)

    assert run("1") == run("2")


# TensorFlow Datasets


def test_what_is_here_is_local_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos:2024").mkdir()
    assert addresses.is_local("photos:2024", "dataset")
    assert not addresses.is_local("tfds:food101", "dataset")
    assert not addresses.is_name(str(tmp_path / "photos:2024"))
