import html
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.prepare import page, step
from switchpoint import progress
from switchpoint.data import converters as converters_module
from switchpoint.data import photos as images
from switchpoint.data import records as record_files
from switchpoint.data.converters import Converters
from switchpoint.data.manifest import SPLITS, read_manifest, verify_records
from switchpoint.data.sources import digest, open_source
from switchpoint.documents.records import Manifest
from switchpoint.errors import DatasetError, RecordsError, SwitchpointError
from tests.components.trainings import prepared

pytestmark = pytest.mark.slow  # nearly all write records, for which TensorFlow is imported
Make = Callable[..., Path]


def run(out: Path, dataset: object, workers: int = 2, **changes: Any) -> Manifest:
    return prepared(out, str(dataset), workers, **changes)


def rows(out: Path, split: str) -> list[dict[str, Any]]:
    return list(record_files.dataset(out / "records", split).as_numpy_iterator())


def names(out: Path, split: str) -> list[str]:
    return [row["name"].decode() for row in rows(out, split)]


def files(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_every_photo_is_in_one_split_and_each_class_in_all(folder: Make, tmp_path: Path) -> None:
    root = folder(a=20, b=30, c=5)
    manifest = run(tmp_path / "out", root, validation_fraction=0.25)
    assert {split: entry["per_class"] for split, entry in manifest["splits"].items()} == {
        "train": [12, 23, 2],
        "validation": [4, 5, 2],
        "test": [4, 2, 1],
    }
    found = [name for split in SPLITS for name in names(tmp_path / "out", split)]
    assert sorted(found) == [photo.name for photo in open_source(str(root))]
    assert manifest == verify_records(tmp_path / "out" / "records")


def test_a_record_holds_the_photo_resized_with_its_label_and_place(folder: Make, tmp_path: Path) -> None:
    root = folder(a=9, b=9)
    manifest = run(tmp_path / "out", root)
    assert (manifest["image_height"], manifest["image_width"], manifest["image_size"]) == (43, 37, 32)
    for split in SPLITS:
        for place, row in enumerate(rows(tmp_path / "out", split)):
            name = row["name"].decode()
            assert (row["index"], manifest["classes"][row["label"]]) == (place, name.split("/")[0])
            expected = images.resize(images.decode((root / name).read_bytes()), 43, 37)
            assert row["image"] == images.encode(expected, 97 if split == "test" else 92)
            assert np.asarray(images.decode(row["image"])).shape == (43, 37, 3)


@pytest.mark.parametrize("workers", [1, 3, 16])
def test_the_bytes_do_not_depend_on_the_workers(
    folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(record_files, "PHOTOS_A_SHARD", 10)
    root = folder(a=25, b=25)
    (root / "b" / "007.jpg").write_bytes(b"broken")
    run(tmp_path / "one", root, workers=None, max_left_out=0.1)
    run(tmp_path / "two", root, workers=workers, max_left_out=0.1)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_a_process_that_dies_says_so() -> None:
    with Converters((43, 37)) as converters:
        assert converters.convert(b"broken") == (b"", b"", "not an image (JPEG, PNG, GIF, WEBP, BMP, TIFF, PPM, HEIF)")
        converters._processes[0].kill()
        with pytest.raises(SwitchpointError, match=r"exit code -9 .*Give prepare more memory"):
            converters.convert(b"broken")


def test_a_process_that_fails_does_not_blame_the_memory(tmp_path: Path) -> None:
    with Converters((43, 37)) as converters:
        converters.convert(b"broken")
        converters._processes[0].terminate()
        with pytest.raises(SwitchpointError, match=r"exit code -15\. Why, it says in the log above"):
            converters.convert(b"broken")


def test_one_photo_of_noise_is_a_photo_as_all_others(folder: Make, tmp_path: Path) -> None:
    root = folder(a=9, b=9)
    pixels = np.random.default_rng(0).integers(0, 2, (300, 260, 3), dtype=np.uint8) * 255
    Image.fromarray(pixels).save(root / "a" / "confetti.png")
    manifest = run(tmp_path / "out", root, image_size=224)
    assert manifest["left_out"] == []
    assert sum(split["photos"] for split in manifest["splits"].values()) == 19


def test_large_photos_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch, jpeg: Callable[..., bytes]) -> None:
    monkeypatch.setattr(converters_module, "PIXELS_AT_ONCE", 1000)
    photos = {pixels: jpeg(pixels, size=(pixels // 10, 10)) for pixels in (300, 400, 5000, 6000)}
    taken: list[int] = []
    most = []

    class Watched(converters_module._Room):
        @contextmanager
        def taken(self, pixels: int) -> Iterator[None]:
            with super().taken(pixels):
                taken.append(pixels)
                most.append(sorted(taken))
                yield
                taken.remove(pixels)

    monkeypatch.setattr(converters_module, "_Room", Watched)
    with Converters((43, 37)) as converters, ThreadPoolExecutor(4) as pool:
        converted = list(pool.map(converters.convert, list(photos.values()) * 6))
    assert all(image and not reason for image, _, reason in converted)
    assert {pixels for together in most for pixels in together} == set(photos)
    assert all(len(together) == 1 or sum(together) <= 1000 for together in most)


def test_the_seed_decides_split_and_order(folder: Make, tmp_path: Path) -> None:
    root = folder(a=30, b=30)
    found = {}
    for seed in (1, 2):
        run(tmp_path / str(seed), root, seed=seed)
        found[seed] = {split: names(tmp_path / str(seed), split) for split in SPLITS}
    for split in SPLITS:
        assert set(found[1][split]) != set(found[2][split])
    labels = [name.split("/")[0] for name in found[1]["train"]]
    assert labels != sorted(labels)


def test_the_official_split_is_kept(official: Make, tmp_path: Path) -> None:
    manifest = run(tmp_path / "out", official("waffles", "apple_pie"))
    assert manifest["classes"] == ["waffles", "apple_pie"]
    assert names(tmp_path / "out", "test") == [f"{c}/{i}.jpg" for c in ("apple_pie", "waffles") for i in (4, 5)]
    assert manifest["splits"]["validation"]["per_class"] == [1, 1]
    assert sorted(row["label"] for row in rows(tmp_path / "out", "train")) == [0] * 3 + [1] * 3


def test_a_validation_split_of_the_datasets_own_is_kept(folder: Make, tmp_path: Path) -> None:
    root = folder(**{f"{split}/{name}": 3 for split in ("train", "val", "test") for name in ("a", "b")})
    manifest = run(tmp_path / "out", root)
    assert set(manifest["split_from"].values()) == {"dataset"}
    for split, place in (("validation", "val"), ("test", "test")):
        assert names(tmp_path / "out", split) == [
            f"{place}/{name}/00{number}.jpg" for name in "ab" for number in range(3)
        ]


def test_a_dataset_that_changed_is_refused(folder: Make, tmp_path: Path) -> None:
    root = folder(a=5, b=5)
    expected = digest(str(root))
    assert run(tmp_path / "out", root, dataset_digest=expected)["source"]["digest"] == expected
    (root / "a" / "000.jpg").unlink()
    with pytest.raises(DatasetError, match=f"is not what dataset_digest says: expected {expected}, found"):
        run(tmp_path / "other", root, dataset_digest=expected)
    assert not (tmp_path / "other").exists()


def test_a_killed_run_leaves_nothing_that_is_taken_for_whole(folder: Make, tmp_path: Path) -> None:
    root, out = folder(a=20, b=20), tmp_path / "out"
    code = (
        "import os, signal; from pathlib import Path; from components.prepare import step;"
        "from tests.components.trainings import prepared;"
        "step.write_manifest = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        f"prepared(Path({str(out)!r}), Path({str(root)!r}))"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=Path(step.__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL
    assert any(name.endswith(".tfrecord") for name in files(out))
    with pytest.raises(RecordsError, match="not whole"):
        read_manifest(out / "records")
    run(out, root)
    run(tmp_path / "fresh", root)
    assert files(out) == files(tmp_path / "fresh")


def test_progress_ends_with_all_photos(folder: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "out", folder(a=5, b=5))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "prepare: photos 10/10, 0 s left"
    assert progress.read(last) == progress.Progress("photos", 10, 10, 0)


def test_the_look_shows_counts_and_trusts_no_name(folder: Make, tmp_path: Path) -> None:
    evil = "<script>alert(1)<"
    root = folder(**{evil: 12, "b & c": 12})
    (root / "b & c" / '"><img src=x>.jpg').write_bytes(b"x")
    run(tmp_path / "out", root, max_left_out=0.1)
    page = (tmp_path / "out" / "look").read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert html.escape(evil) in page
    assert "b &amp; c" in page
    assert "not an image" in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    for uri in re.findall(r"data:image/jpeg;base64,([^\"]+)", page):
        import base64

        assert Image.open(io.BytesIO(base64.b64decode(uri))).format == "JPEG"


def test_the_look_of_many_classes_stays_small(folder: Make, tmp_path: Path) -> None:
    run(
        tmp_path / "out",
        folder(**{f"{split}/class {index:03d}": 1 for split in SPLITS for index in range(60)}),
        image_size=128,
    )
    assert (tmp_path / "out" / "look").stat().st_size < page.THUMBNAIL_BYTES + 50_000


def test_the_source_says_where_the_photos_came_from(folder: Make, tmp_path: Path) -> None:
    root = folder(a=5, b=6)
    manifest = run(tmp_path / "out", root)
    assert json.loads((tmp_path / "out" / "source").read_text()) == {
        "dataset": str(root),
        "digest": digest(str(root)),
        "records": manifest["digest"],
        "classes": 2,
        "photos": 11,
        "left_out": 0,
        "duplicates": {},
        "dropped": 0,
        "leaked": [],
        "copied": [],
    }


def test_the_log_names_what_was_left_out(
    folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(step, "SAID", 2)
    root = folder(a=9, b=9)
    for name in ("1.jpg", "2\n3.jpg", "3.jpg"):
        (root / "a" / name).write_bytes(b"no photo")
    run(tmp_path / "out", root, max_left_out=0.5)
    said = [text for line in capfd.readouterr().out.splitlines() if (text := progress.read(line))]
    left_out = [text for text in said if isinstance(text, str)]
    assert [text.split(":")[0] for text in left_out[:2]] == ["left out 'a/1.jpg'", r"left out 'a/2\n3.jpg'"]
    assert left_out[2:] == ["left out 1 more; the manifest and the look at the data name all"]


def test_the_drawn_dishes_can_be_prepared(tmp_path: Path) -> None:
    manifest = run(tmp_path, "sample", image_size=64)
    counts = {split: entry["per_class"] for split, entry in manifest["splits"].items()}
    assert set(counts["test"]) == {20} and sum(counts["train"] + counts["validation"]) == 600
    # Which bytes a photo has, and so its split, is the JPEG library's say.
    assert min(counts["validation"]) >= 1 and 80 <= sum(counts["validation"]) <= 160
    assert manifest["left_out"] == manifest["duplicates"] == []


@pytest.mark.food101
def test_real_photos_of_all_classes(food101_64px: Path, tmp_path: Path) -> None:
    manifest = run(tmp_path, food101_64px, image_size=64)
    splits = manifest["splits"]
    assert splits["test"]["per_class"] == [10] * 101
    assert splits["train"]["photos"] + splits["validation"]["photos"] == 30 * 101
    assert 0.18 < splits["validation"]["photos"] / (30 * 101) < 0.22
    assert Counter(int(row["label"]) for row in rows(tmp_path, "test")) == dict.fromkeys(range(101), 10)
    assert manifest["left_out"] == []


@pytest.mark.food101
def test_real_photos_are_resized_as_tensorflow_does(food101_mini: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    for path in sorted((food101_mini / "images").glob("*/*.jpg"))[::100]:
        data = path.read_bytes()
        theirs = tf.image.resize(tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"), (300, 260)).numpy()
        ours = np.asarray(images.resize(images.decode(data), 300, 260)).astype(float)
        assert np.abs(ours - theirs).mean() < 0.6
        kept = tf.io.decode_jpeg(images.encode(Image.fromarray(ours.astype(np.uint8))), dct_method="INTEGER_ACCURATE")
        assert np.abs(kept.numpy().astype(float) - theirs).mean() < 2.5


def test_it_writes_only_where_it_is_told(folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(a=5, b=5)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    before = files(root)
    run(tmp_path / "out", root)
    assert os.listdir(tmp_path / "work") == []
    assert sorted(os.listdir(tmp_path / "out")) == ["look", "records", "source"]
    assert files(root) == before
