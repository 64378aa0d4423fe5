"""Food-101's archive."""

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from switchpoint.data import sources
from switchpoint.data.sources import digest, open_source
from switchpoint.errors import DatasetError
from tests.switchpoint.data.listings import contents, listing

Make = Callable[..., Path]


def packed(root: Path, order: Callable[[str], object] | None = None) -> Path:
    archive = root.with_suffix(".tar.gz")
    files = sorted((str(path.relative_to(root.parent)) for path in root.rglob("*")), key=order)
    with tarfile.open(archive, "w:gz") as tar:
        for file in files:
            tar.add(root.parent / file, file, recursive=False)
    return archive


@pytest.mark.parametrize("order", [None, lambda file: hashlib.sha256(file.encode()).digest()], ids=["sorted", "mixed"])
def test_the_archive_gives_what_the_folder_gives(official: Make, order: Callable[[str], object] | None) -> None:
    root = official("waffles", "apple pie")
    archive = packed(root, order)
    source, unpacked = open_source(str(archive)), open_source(str(root))
    assert source.classes == unpacked.classes
    assert sorted(listing(source)) == listing(unpacked)
    assert contents(source) == contents(unpacked)
    assert source.digest == digest(str(archive)) == hashlib.sha256(archive.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../../evil.jpg", tarfile.REGTYPE),
        ("food-101/images/../../../evil.jpg", tarfile.REGTYPE),
        ("/etc/cron.d/evil", tarfile.REGTYPE),
        ("food-101/images/a/0.jpg", tarfile.SYMTYPE),
        ("food-101/images/a/0.jpg", tarfile.LNKTYPE),
        ("food-101/images/a/0.jpg", tarfile.CHRTYPE),
        ("food-101/images/a/0.jpg", tarfile.FIFOTYPE),
    ],
    ids=["parent", "inside", "absolute", "symlink", "hardlink", "device", "fifo"],
)
def test_an_archives_paths_are_not_trusted(official: Make, tmp_path: Path, name: str, kind: bytes) -> None:
    archive = packed(official("a", "b"))
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(archive) as good, tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as evil:
        evil.addfile(member)
        for other in good:
            evil.addfile(other, good.extractfile(other) if other.isfile() else None)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match="refused member"):
        open_source(str(tmp_path / "evil.tar.gz"))
    assert sorted(tmp_path.rglob("*")) == before


def test_an_archive_that_is_cut_short_doubled_or_another_is_refused(
    official: Make, folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = packed(official("a", "b"))
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"can't be read to its end|no food-101/meta/|missing"):
        open_source(str(archive))
    archive.write_bytes(whole)
    monkeypatch.setattr(sources.archive, "PHOTO_BYTES", 100)
    with pytest.raises(DatasetError, match=r"refused member .* bytes"):
        open_source(str(archive))
    monkeypatch.undo()
    with pytest.raises(DatasetError, match="no food-101/meta/ in it"):
        open_source(str(packed(folder(a=2, b=2))))
    with tarfile.open(archive) as good, tarfile.open(tmp_path / "twice.tar.gz", "w:gz") as twice:
        for other in [*good, *good]:
            twice.addfile(other, good.extractfile(other) if other.isfile() else None)
    with pytest.raises(DatasetError, match=r"holds .* twice"):
        open_source(str(tmp_path / "twice.tar.gz"))


# Drawn dishes
