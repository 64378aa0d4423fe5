import os
import shutil

import pytest

from switchpoint.provenance.digests import ROOT
from tests.support import unavailable


@pytest.fixture(scope="module")
def kustomize() -> str:
    found = shutil.which("kustomize", path=f"{ROOT / 'build' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if not found:
        unavailable("there is no kustomize in build/bin or on PATH: k8s/install-kustomize.sh puts it there")
    return found
