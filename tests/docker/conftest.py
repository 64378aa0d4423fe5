import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from switchpoint.provenance import digests as identity
from tests.support import output, unavailable

BASE_IMAGE = os.environ.get("BASE_IMAGE") or "switchpoint-base:bookworm"


@pytest.fixture(scope="session")
def base_image() -> str:
    if not shutil.which("docker"):
        unavailable("there is no docker command")
    if subprocess.run(["docker", "version"], capture_output=True).returncode:
        unavailable("no Docker engine answers")
    if subprocess.run(["docker", "image", "inspect", BASE_IMAGE], capture_output=True).returncode:
        if os.geteuid() or not shutil.which("debootstrap"):
            unavailable(f"{BASE_IMAGE} is not there, and docker/debootstrap-base.sh needs root and debootstrap")
        output(identity.ROOT / "docker" / "debootstrap-base.sh", BASE_IMAGE)
    return BASE_IMAGE


@pytest.fixture(scope="session")
def build(base_image: str) -> Callable[[str], str]:
    def build(step: str) -> str:
        script = identity.ROOT / "docker" / "build.py"
        printed = output(sys.executable, script, step, "--device", "cpu", "--base-image", base_image)
        name = identity.image(step, registry="", device="cpu")
        assert re.search(rf"^{re.escape(name)}  [\d,]+ MB  (built|there already)$", printed, re.MULTILINE), printed
        return name

    return build
