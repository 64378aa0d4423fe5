import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from switchpoint.provenance import digests as identity


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("components", "switchpoint", "docker"):
        shutil.copytree(identity.ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(identity, "ROOT", tmp_path)
    identity.code_digest.cache_clear()
    yield tmp_path
    identity.code_digest.cache_clear()


def digests() -> dict[str, str]:
    identity.code_digest.cache_clear()
    return {step: identity.code_digest(step) for step in identity.STEPS}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {step for step in before if before[step] != after[step]}


def edit(path: Path) -> None:
    path.write_text(path.read_text() + "\n# edited\n")


@pytest.mark.parametrize("step", identity.STEPS)
def test_an_edited_step_changes_its_own_digest_and_no_other(copy: Path, step: str) -> None:
    before = digests()
    edit(copy / "components" / step / "step.py")
    assert changed(before, digests()) == {step}


def test_an_edited_shared_module_changes_the_steps_that_import_it(copy: Path) -> None:
    before = digests()
    edit(copy / "switchpoint" / "augmentation.py")
    assert changed(before, digests()) == {"transfer", "finetune", "evaluate"}


@pytest.mark.parametrize("name", ["Dockerfile", "requirements-cpu.txt"])
def test_the_dockerfile_and_the_lock_are_part_of_every_digest(copy: Path, name: str) -> None:
    before = digests()
    edit(copy / "docker" / name)
    assert changed(before, digests()) == set(identity.STEPS)


def test_a_step_does_not_hold_another_steps_code_nor_the_commands() -> None:
    for step in identity.STEPS:
        files = [path.as_posix() for path in identity.step_files(step)]
        assert f"components/{step}/step.py" in files
        assert {path.split("/")[1] for path in files if path.startswith("components/")} == {step, "__init__.py"}
        assert not {"switchpoint/command/cli/main.py", "switchpoint/command/local/run.py", "pipeline.py"} & set(files)


def test_an_images_name_says_registry_step_target_and_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = identity.code_digest("prepare")[:16]
    assert identity.image("prepare", "", "cpu") == f"switchpoint-python-prepare:cpu-{digest}"
    monkeypatch.setenv(identity.REGISTRY, "registry.example/team/")
    monkeypatch.setenv(identity.DEVICE, "gpu")
    assert identity.image("prepare") == f"registry.example/team/switchpoint-python-prepare:cpu-{digest}"
    assert identity.image("transfer").startswith("registry.example/team/switchpoint-python-transfer:gpu-")
