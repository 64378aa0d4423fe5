"""EfficientNet-Lite0 with two blocks: it trains as the whole does, and TensorFlow traces it in a tenth of the time."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from switchpoint.provenance.digests import ROOT
from switchpoint.training.backbones import lite0

# 19 of its 151 layers, and a residual among them; the weights must be "none": ImageNet's last layer reads more channels
STAGES = "(_STAGES[0]._replace(repeats=2, strides=2),)"


@contextmanager
def shallow() -> Iterator[None]:
    """In this process, meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lite0, "_STAGES", eval(STAGES, vars(lite0)))
        yield


def shallow_project(place: Path) -> Path:
    """A copy of the project, for processes that are started in it."""
    for name in ("components", "switchpoint", "docker"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pipeline.py", place)
    with (place / Path(lite0.__file__).relative_to(ROOT)).open("a") as file:
        file.write(f"\n_STAGES = {STAGES}\n")
    return place
