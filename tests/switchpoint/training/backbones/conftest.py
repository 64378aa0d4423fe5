import keras
import pytest

from switchpoint.training.backbones.build import build
from switchpoint.training.backbones.table import LITE0


@pytest.fixture
def lite0() -> keras.Model:
    """Of each test its own: they change it."""
    return build(LITE0, "imagenet", 32)


@pytest.fixture(scope="module")
def unchanged_lite0() -> keras.Model:
    """For tests that look at it alone."""
    return build(LITE0, "none", 32)
