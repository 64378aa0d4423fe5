"""A dataset looked at from the terminal."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from switchpoint.command.cli.main import main
from switchpoint.provenance.digests import ROOT

Make = Callable[..., Path]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, arguments)], catch_exceptions=False)


def test_a_clean_dataset_needs_no_decision(folder: Make) -> None:
    result = call(folder(cats=20, dogs=15))
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[1:] == [
        "train              24  what is left",
        "validation          4  cut: 10% of the training photos (--validation-fraction, --seed 1)",
        "test                7  cut: 20% of the photos without a split (--seed 1)",
        "Smallest classes: dogs 15, cats 20",
        "Nothing needs a decision.",
    ]


@pytest.fixture
def troubled(folder: Make) -> Path:
    """A leak, a photo in two classes, one twice, one that can't be read, and a class that is in no test."""
    root = folder(**{f"{split}/{name}": 4 for split in ("train", "validation", "test") for name in ("a", "b")})
    shutil.copytree(root / "train" / "a", root / "train" / "c")
    for number, path in enumerate(sorted((root / "train" / "c").iterdir())):
        path.write_bytes((root / "train" / "c" / "000.jpg").read_bytes() if number else b"no photo")
    shutil.copy(root / "validation" / "b" / "000.jpg", root / "train" / "c" / "001.jpg")
    shutil.copy(root / "test" / "b" / "001.jpg", root / "train" / "b" / "leak.jpg")
    for name in ("002", "003"):
        shutil.copy(root / "train" / "a" / "000.jpg", root / "train" / "a" / f"{name}.jpg")
        (root / "train" / "c" / f"{name}.jpg").unlink()
    return root


def test_what_needs_a_decision_is_said_and_is_the_exit_code(troubled: Path) -> None:
    result = call(troubled)
    assert result.exit_code == 3
    lines = result.output.splitlines()
    assert "train              10  the dataset's own" in lines
    assert "Smallest classes: c 1, a 12, b 13" in lines
    assert any(line.startswith("1 can't be read: not an image") and "train/c/000.jpg" in line for line in lines)
    assert "  test/b/001.jpg = train/b/leak.jpg" in lines
    decide = lines[lines.index("To be decided:") + 1 :]
    assert [line.split(":")[0].split(",")[0].strip() for line in decide] == [
        "2 groups of copies (4 photos) are in more than one of train",
        "1 group of copies (2 photos) is in more than one class",
        "1 of 27 photos can't be read",
        "classes without a photo in validation",
        "classes without a photo in test",
    ]
    assert call(troubled, "--max-left-out", "0.1").output.count("can't be read") == 1


def test_a_class_that_the_cut_gave_no_photo_needs_a_decision(folder: Make) -> None:
    result = call(folder(cats=10, dogs=10))
    assert result.exit_code == 3
    assert (
        "classes without a photo in validation, 1 (dogs): add photos, take another --seed, or remove" in result.output
    )


def test_a_line_break_in_a_name_makes_no_line(folder: Make) -> None:
    root = folder(cats=15, dogs=15)
    for name in ("0\nNothing needs a decision.", "1\x1b[2J"):
        shutil.copy(root / "cats" / "000.jpg", root / "cats" / f"{name}.jpg")
    lines = call(root).output.splitlines()
    assert lines.count("Nothing needs a decision.") == 1
    assert any(r"cats/0\nNothing needs a decision..jpg = cats/000.jpg = cats/1\x1b[2J.jpg" in line for line in lines)


def test_programs_read_the_same(troubled: Path) -> None:
    result = call(troubled, "--json")
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert (found["photos"], len(found["digest"]), len(found["decide"])) == (26, 64, 5)
    assert found["classes"][2] == {"class": "c", "train": 1, "validation": 0, "test": 0}
    assert found["splits"]["test"] == {"photos": 8, "from": "dataset"}
    assert found["smallest"][0] == {"class": "c", "photos": 1}
    assert found["without"] == {"train": [], "validation": ["c"], "test": ["c"]}
    assert [entry["photo"] for entry in found["left_out"]] == ["train/c/000.jpg"]
    assert {"photos": ["test/b/001.jpg", "train/b/leak.jpg"], "kind": "across splits", "exact": True} in found[
        "duplicates"
    ]


def test_what_is_no_dataset_is_an_error(folder: Make) -> None:
    missing = call("nowhere")
    assert missing.exit_code == 2 and "does not exist" in missing.stderr
    single = call(folder(only=3))
    assert single.exit_code == 1 and "has 1 classes (only)" in single.stderr


def test_it_needs_no_tensorflow(folder: Make, tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("raise ImportError('check is not to need it')")
    command = [sys.executable, "-m", "switchpoint.command", "check", str(folder(cats=15, dogs=15))]
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_page_shows_the_copies_side_by_side(troubled: Path, tmp_path: Path) -> None:
    (troubled / "train" / "a" / "000.jpg").rename(troubled / "train" / "a" / "<b>.jpg")
    result = call(troubled, "--html", tmp_path / "new" / "check.html")
    assert result.exit_code == 3 and result.output.endswith(f"Page: {tmp_path / 'new' / 'check.html'}\n")
    page = (tmp_path / "new" / "check.html").read_text()
    assert "To be decided" in page and "train/c/000.jpg" in page and "train/a/&lt;b&gt;.jpg" in page
    assert page.count("across splits, the same bytes") == 2
    assert page.count('<img src="data:image/jpeg') == 3 + 2 * 2 + 2 + 3  # a class each, and the groups of copies
