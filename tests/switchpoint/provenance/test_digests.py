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


@pytest.mark.parametrize(
    ("module", "steps"),
    [
        ("data/sources/folder.py", {"digest", "prepare"}),
        ("data/records.py", {"prepare", "transfer", "finetune", "evaluate", "promote"}),
        ("training/augmentation.py", {"transfer", "finetune", "evaluate", "drift"}),
        ("training/loop.py", {"transfer", "finetune"}),
        ("tracking.py", {"digest", "transfer", "finetune", "evaluate", "report", "promote"}),
        ("training/collected.py", {"collect", "report"}),
        ("training/features.py", {"transfer"}),
        ("training/saved_model.py", {"transfer", "finetune", "evaluate"}),
        ("storage/__init__.py", {"digest", "prepare", "transfer", "finetune", "drift", "promote"}),
        ("provenance/metadata.py", set(identity.STEPS)),
        ("documents/training.py", set()),  # types alone
        ("command/local/run.py", set()),
        ("command/publish/upload.py", set()),
    ],
)
def test_an_edited_shared_module_changes_the_steps_that_import_it(copy: Path, module: str, steps: set[str]) -> None:
    before = digests()
    edit(copy / "switchpoint" / module)
    assert changed(before, digests()) == steps


@pytest.mark.parametrize("name", ["Dockerfile", "requirements-cpu.txt"])
def test_the_dockerfile_and_the_lock_are_part_of_every_digest(copy: Path, name: str) -> None:
    before = digests()
    edit(copy / "docker" / name)
    assert changed(before, digests()) == set(identity.STEPS)


ROOT_MODULES = {"", "data", "provenance"}  # rooms of switchpoint/
ROOMS = {
    "digest": {"", "data/sources", "provenance", "storage", "training", "training/backbones"},
    "prepare": ROOT_MODULES | {"data/sources", "storage"},
    "transfer": ROOT_MODULES | {"training", "training/backbones", "storage"},
    "finetune": ROOT_MODULES | {"training", "training/backbones", "storage"},
    "evaluate": ROOT_MODULES | {"training"},
    "halve": {"", "provenance", "training"},
    "collect": {"", "provenance", "training"},
    "report": {"", "provenance", "registry", "training"},
    "drift": ROOT_MODULES | {"drift", "storage", "training"},
    "promote": ROOT_MODULES | {"registry", "storage", "training"},
}


@pytest.mark.parametrize("step", identity.STEPS)
def test_an_image_holds_its_own_step_the_rooms_that_it_needs_and_nothing_of_the_commands(step: str) -> None:
    files = [
        path
        for path in identity.step_files(step)
        if path.name != "__init__.py" or (identity.ROOT / path).stat().st_size
    ]
    assert {Path(f"components/{step}/step.py"), Path(f"components/{step}/component.py")} <= set(files)
    rooms = {path.parent.as_posix() for path in files}
    assert rooms == {f"components/{step}"} | {f"switchpoint/{room}".rstrip("/") for room in ROOMS[step]}
    assert not any(path.is_relative_to("switchpoint/command") for path in files)


def test_an_images_name_says_registry_step_target_and_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = identity.code_digest("prepare")[:16]
    assert identity.image("prepare", "", "cpu") == f"switchpoint-python-prepare:cpu-{digest}"
    monkeypatch.setenv(identity.REGISTRY, "registry.example/team/")
    monkeypatch.setenv(identity.DEVICE, "gpu")
    assert identity.image("prepare") == f"registry.example/team/switchpoint-python-prepare:cpu-{digest}"
    assert identity.image("transfer").startswith("registry.example/team/switchpoint-python-transfer:gpu-")


def test_a_directorys_digest_is_of_its_paths_and_contents(tmp_path: Path) -> None:
    def digest(**files: str) -> str:
        place = tmp_path / repr(sorted(files.items()))
        (place / "inner").mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (place / "inner" / name).write_text(content)
        return identity.content_digest(place)

    assert digest(a="1", b="2") == digest(b="2", a="1")
    assert len({digest(a="1", b="2"), digest(a="2", b="1"), digest(a="1"), digest(c="1", b="2"), digest()}) == 5
    (tmp_path / "file").write_text("1")
    assert identity.content_digest(tmp_path / "file") == identity.file_digest(tmp_path / "file")
