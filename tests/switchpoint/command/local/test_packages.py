"""What is installed is in the local cache's key: other versions of what an image would hold run steps again."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from switchpoint.command.local import packages


@pytest.fixture(autouse=True)
def anew() -> None:
    packages.digest.cache_clear()


def test_versions_are_those_of_the_packages_metadata() -> None:
    found = packages.installed()
    assert {name: found[name] for name in ("pillow", "numpy", "kfp", "absl-py")} == {
        name: version(name) for name in ("pillow", "numpy", "kfp", "absl-py")
    }


def test_another_version_is_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = packages.digest()
    (tmp_path / "no_image_has_it-1.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    packages.digest.cache_clear()
    assert packages.digest() == before
    (tmp_path / "pillow-99.0.dist-info").mkdir()
    packages.digest.cache_clear()
    assert packages.digest() != before


@pytest.mark.parametrize("metadata", ["Pillow-99.0.egg-info", "pillow-99.0-py3.11.egg-info"])
def test_eggs_are_installed_too(metadata: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / metadata).mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert packages.installed()["pillow"] == "99.0"


def test_what_the_folders_names_do_not_tell_the_metadata_does(monkeypatch: pytest.MonkeyPatch) -> None:
    before = packages.digest()
    monkeypatch.setattr(packages, "installed", dict)
    packages.digest.cache_clear()
    assert packages.digest() == before


def test_another_python_is_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = packages.digest()
    monkeypatch.setattr(packages.platform, "python_version", lambda: "3.11.99")
    packages.digest.cache_clear()
    assert packages.digest() != before
