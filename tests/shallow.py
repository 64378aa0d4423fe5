"""EfficientNet-Lite0's first stages: they train as the whole does, and TensorFlow traces them in less time."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from switchpoint.provenance.digests import ROOT
from switchpoint.training.backbones import lite0

STAGES = 3  # 47 of its 151 layers; the weights must be "none": ImageNet's last layer reads more channels


@contextmanager
def shallow(stages: int = STAGES) -> Iterator[None]:
    """In this process, meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lite0, "_STAGES", lite0._STAGES[:stages])
        yield


def shallow_project(place: Path) -> Path:
    """A copy of the project, for processes that are started in it."""
    for name in ("components", "switchpoint", "docker"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pipeline.py", place)
    with (place / Path(lite0.__file__).relative_to(ROOT)).open("a") as file:
        file.write(f"\n_STAGES = _STAGES[:{STAGES}]\n")
    return place
