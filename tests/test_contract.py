"""The import contract of `make lint` catches what it is there for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from switchpoint.provenance.digests import ROOT

LINT = Path(sys.executable).with_name("lint-imports")


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT), "--no-cache", "--config", "pyproject.toml"]
    return subprocess.run(command, cwd=tree, env={"PYTHONPATH": str(tree)}, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("file", "planted", "broken"),
    [
        (
            "components/transfer/step.py",
            "from switchpoint.command.cluster import client",
            "What is in the images knows nothing of the command",
        ),
        (
            "switchpoint/training/checkpoints.py",
            "from switchpoint.command import recipes",
            "What is in the images knows nothing of the command",
        ),
        (
            "components/finetune/step.py",
            "from components.transfer.step import schedule",
            "Steps meet in files: they don't import one another",
        ),
        (
            "switchpoint/data/records.py",
            "import kfp",
            "KFP is known to components' wrappers, the pipeline and the command alone",
        ),
        ("switchpoint/command/profiles.py", "import tensorflow", "What compiles names no TensorFlow"),
    ],
)
def test_a_planted_import_breaks_the_contract(tmp_path: Path, file: str, planted: str, broken: str) -> None:
    for name in ("components", "switchpoint"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    assert lint(tmp_path).returncode == 0
    (tmp_path / file).write_text((tmp_path / file).read_text() + f"\n\ndef planted() -> None:\n    {planted}\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert f"{broken} BROKEN" in done.stdout
