"""Tables of photos: CSV and Parquet."""

import csv
import io
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from switchpoint import addresses, storage
from switchpoint.data.sources import Source, digest, open_source
from switchpoint.data.sources.bucket import Bucket
from switchpoint.errors import DatasetError
from tests.switchpoint.data.listings import contents, listing

Make = Callable[..., Path]
Row = dict[str, Any]


def written(path: Path, rows: list[Row]) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return path
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(out.getvalue(), encoding="utf-8-sig")  # as spreadsheets save it
    return path


@pytest.fixture
def rows(folder: Make) -> list[Row]:
    """Five photos each of a and b, in one folder, and their rows."""
    root = folder("set/all photos", x=10)
    return [
        {"path": f"{root.name}/x/{number:03d}.jpg", "label": "ab"[number % 2], "split": split}
        for number, split in enumerate(["train"] * 6 + ["val"] * 2 + ["Test"] * 2)
    ]


@pytest.mark.parametrize("name", ["photos.csv", "photos.parquet"])
def test_a_tables_classes_and_splits_are_kept(rows: list[Row], tmp_path: Path, name: str) -> None:
    source = open_source(str(written(tmp_path / "set" / name, rows)))
    assert (source.classes, source.own) == (["a", "b"], {"train", "validation", "test"})
    wanted = {"train": "train", "val": "validation", "Test": "test"}
    assert listing(source) == [(row["path"], "ab".index(row["label"]), wanted[row["split"]]) for row in rows]
    first = rows[0]["path"]
    assert contents(source)[first] == (tmp_path / "set" / first).read_bytes()


def test_without_a_column_of_splits_it_has_none_of_its_own(rows: list[Row], tmp_path: Path) -> None:
    plain = [{"Filename": row["path"], "Class": int(row["label"] == "b")} for row in rows]
    for name in ("photos.csv", "photos.parquet"):
        source = open_source(str(written(tmp_path / "set" / name, plain)))
        assert (source.classes, source.own) == (["0", "1"], set())
        assert Counter((label, split) for _, label, split in listing(source)) == {(0, "train"): 5, (1, "train"): 5}


def test_the_digest_is_of_the_table_and_of_its_photos(rows: list[Row], tmp_path: Path) -> None:
    path = written(tmp_path / "set" / "photos.csv", rows)
    found = [digest(str(path))]
    (tmp_path / "set" / "beside.jpg").write_bytes(b"nobody's")
    assert digest(str(path)) == found[0] == open_source(str(path)).digest
    (tmp_path / "set" / rows[0]["path"]).write_bytes(b"another photo")
    found.append(digest(str(path)))
    written(path, [rows[0] | {"label": "b"}, *rows[1:]])
    found.append(digest(str(path)))
    written(path, [rows[0] | {"label": "b", "split": "test"}, *rows[1:]])
    assert len({*found, digest(str(path))}) == 4


def test_a_table_on_a_volume_is_read_there(rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "VOLUMES", tmp_path)
    path = written(tmp_path / "set" / "photos.csv", rows)
    source = open_source("pvc://set/photos.csv")
    assert listing(source) == listing(open_source(str(path)))
    (tmp_path / "set" / rows[0]["path"]).write_bytes(b"a photo of another size")
    assert digest("pvc://set/photos.csv") != source.digest
    assert digest("pvc://set/photos.csv", contents=True) == digest(str(path))


def test_a_table_in_a_bucket_is_fetched_with_its_folder(
    rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "set" / "photos.csv", rows)
    seen: list[str] = []

    def download(uri: str, target: Path) -> str:
        seen.append(uri)
        shutil.copytree(tmp_path / "set", target)
        return "d" * 64

    monkeypatch.setattr(storage, "download", download)
    monkeypatch.setattr(storage, "digest", lambda uri: seen.append(uri) or "d" * 64)
    bucket = Bucket("gs://bucket/food/photos.csv")
    before, opened = bucket.digest(), bucket.open()
    assert listing(Source(opened, before)) == listing(open_source(str(path)))
    assert bucket.digest() == before != digest("gs://bucket/food/others.csv")
    bucket.directory.cleanup()
    assert set(seen) == {"gs://bucket/food"}


def test_a_table_at_the_top_of_a_bucket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "digest", lambda uri: "d" * 64)
    with pytest.raises(DatasetError, match=r"that is the whole bucket.* as in gs://photos/all/all\.csv"):
        digest("gs://photos/all.csv")


@pytest.mark.parametrize("name", ["photos.csv", "photos.parquet"])
def test_labels_have_no_spaces_around_them_and_none_is_a_name(rows: list[Row], tmp_path: Path, name: str) -> None:
    spaced = [row | {"label": {"a": "cat ", "b": "None"}[row["label"]]} for row in rows]
    spaced[0]["label"] = "cat"
    assert open_source(str(written(tmp_path / "set" / name, spaced))).classes == ["None", "cat"]


def test_a_parquet_row_without_a_label_is_told(rows: list[Row], tmp_path: Path) -> None:
    path = written(tmp_path / "set" / "photos.parquet", [rows[0], rows[1] | {"label": None}, *rows[2:]])
    with pytest.raises(DatasetError, match=r"photo 2 .*it has no label"):
        open_source(str(path))


@pytest.mark.parametrize("number", [1, 2])
def test_a_row_with_too_many_cells_is_told(rows: list[Row], tmp_path: Path, number: int) -> None:
    path = written(tmp_path / "set" / "photos.csv", rows)
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    lines[number] += ", blue"
    path.write_text("\n".join(lines))
    with pytest.raises(DatasetError, match=f"photo {number}: it has more cells than the table has columns"):
        open_source(str(path))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"path": "x/none.jpg"}, r"photo 1 \('x/none\.jpg'\): there is no such file below"),
        ({"path": "/etc/passwd"}, r"write its path below .*set, where the table is"),
        ({"path": "../outside.jpg"}, "write its path below"),
        ({"path": "all photos/x/001.jpg"}, r"photo 2 .*: it is there twice"),
        ({"label": ""}, "it has no label"),
        ({"label": " "}, "it has no label"),
        ({"split": "dev"}, r"the split 'dev' is none: give one of train, .*test"),
    ],
)
def test_what_is_wrong_with_a_row_is_told(rows: list[Row], tmp_path: Path, changed: Row, said: str) -> None:
    path = written(tmp_path / "set" / "photos.csv", [rows[0] | changed, *rows[1:]])
    with pytest.raises(DatasetError, match=said):
        open_source(str(path))


def test_what_is_no_table_is_told(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "set" / "photos.csv"
    written(path, [{"name": row["path"], "label": row["label"]} for row in rows])
    with pytest.raises(DatasetError, match=r"no column of paths: its columns are name, label\. Call one path \(or"):
        open_source(str(path))
    written(path, [{"path": row["path"], "kind": row["label"]} for row in rows])
    with pytest.raises(DatasetError, match="no column of labels"):
        open_source(str(path))
    for content in (b"", b"path,label\n", b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"no column of paths|can't be read as a table"):
            open_source(str(path))
    (tmp_path / "photos.parquet").write_bytes(b"no parquet")
    with pytest.raises(DatasetError, match="can't be read as a table"):
        open_source(str(tmp_path / "photos.parquet"))
