import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from switchpoint.data import records as record_files
from switchpoint.data.manifest import read_manifest, verify_records, write_manifest, writing
from switchpoint.data.records import Example, dataset, write_split
from switchpoint.errors import RecordsError


def examples(count: int, classes: int = 3) -> Iterator[Example]:
    return (Example(b"jpeg %d" % index, index % classes, f"söup/{index}.jpg") for index in range(count))


def write(records: Path, *, train: int = 7, **changes: Any) -> dict[str, Any]:
    with writing(records) as directory:
        splits = {
            split: write_split(directory, split, examples(count), count, 3)
            for split, count in {"train": train, "validation": 3, "test": 0}.items()
        }
        manifest = {"classes": ["a", "b", "söup"], "splits": splits, "source": {"dataset": "x", "digest": "d"}}
        return write_manifest(directory, manifest | changes)


def test_what_is_written_is_read_in_the_same_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_files, "PHOTOS_A_SHARD", 100)
    manifest = write(tmp_path / "records", train=250)
    assert [shard["file"] for shard in manifest["splits"]["train"]["shards"]] == [
        f"train-0000{shard}-of-00003.tfrecord" for shard in range(3)
    ]
    assert manifest["splits"]["train"]["per_class"] == [84, 83, 83]
    data = dataset(tmp_path / "records", "train")
    assert int(data.cardinality()) == 250
    for _ in range(2):
        rows = list(data.as_numpy_iterator())
        assert [row["index"] for row in rows] == list(range(250))
        found = [Example(row["image"], int(row["label"]), row["name"].decode()) for row in rows]
        assert found == list(examples(250))


def test_an_empty_split_can_be_read(tmp_path: Path) -> None:
    write(tmp_path / "records")
    assert list(dataset(tmp_path / "records", "test")) == []


def test_the_same_examples_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one"), write(tmp_path / "two")
    assert one == two
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_the_digest_knows_the_photos_and_not_their_address(tmp_path: Path) -> None:
    digest = write(tmp_path / "one")["digest"]
    assert write(tmp_path / "two", source={"dataset": "moved", "digest": "d"})["digest"] == digest
    assert write(tmp_path / "three", source={"dataset": "x", "digest": "e"})["digest"] != digest
    assert write(tmp_path / "four", train=8)["digest"] != digest


@pytest.mark.parametrize("label", [-1, 3, 101])
def test_a_label_out_of_range_is_not_written(tmp_path: Path, label: int) -> None:
    with (
        pytest.raises(RecordsError, match=rf"a/1.jpg: label {label} is not in \[0, 3\)"),
        writing(tmp_path / "r") as to,
    ):
        write_split(to, "train", [Example(b"", label, "a/1.jpg")], 1, 3)
    assert list(tmp_path.iterdir()) == []


def test_a_label_out_of_range_is_not_read(tmp_path: Path) -> None:
    import tensorflow as tf

    write(tmp_path / "records", classes=["a", "b"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="label out of range"):
        list(dataset(tmp_path / "records", "train"))


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    digest = write(tmp_path / "records")["digest"]
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "records") as directory:
        write_split(directory, "train", examples(2), 2, 3)
        raise ZeroDivisionError
    assert verify_records(tmp_path / "records")["digest"] == digest
    assert [path.name for path in tmp_path.iterdir()] == ["records"]


def test_records_replace_records_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "records")
    assert (
        verify_records(tmp_path / "records")
        != write(tmp_path / "records", train=9)
        == verify_records(tmp_path / "records")
    )
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").touch()
    with pytest.raises(RecordsError, match="something other than records"):
        write(tmp_path / "home")
    assert (tmp_path / "home" / "thesis.txt").exists()


def test_a_directory_without_a_manifest_is_no_records(tmp_path: Path) -> None:
    write(tmp_path / "records")
    (tmp_path / "records" / "manifest.json").unlink()
    with pytest.raises(RecordsError, match="not records, or not whole"):
        read_manifest(tmp_path / "records")
    with pytest.raises(RecordsError, match="not records, or not whole"):
        dataset(tmp_path / "nowhere", "train")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"splits": {"train": 1}, "source": {"digest": 1}}'])
def test_a_broken_manifest_is_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(RecordsError, match="is not a manifest"):
        read_manifest(tmp_path)


def test_a_changed_manifest_is_noticed(tmp_path: Path) -> None:
    write(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["classes"].reverse()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RecordsError, match="was changed after it was written"):
        read_manifest(tmp_path)


def test_a_shard_that_is_missing_short_or_changed_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "records")
    shard = tmp_path / "records" / "train-00000-of-00001.tfrecord"
    data = shard.read_bytes()
    shard.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    read_manifest(tmp_path / "records")
    with pytest.raises(RecordsError, match="is not what its digest says"):
        verify_records(tmp_path / "records")
    shard.write_bytes(data[:-1])
    with pytest.raises(RecordsError, match=r"has \d+ bytes, not \d+"):
        read_manifest(tmp_path / "records")
    shard.unlink()
    with pytest.raises(RecordsError, match="is missing"):
        read_manifest(tmp_path / "records")


def test_an_unknown_split_names_the_known(tmp_path: Path) -> None:
    write(tmp_path / "records")
    with pytest.raises(RecordsError, match="'dev': expected one of train, validation, test"):
        dataset(tmp_path / "records", "dev")
