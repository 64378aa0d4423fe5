"""What is done with a run of a cluster on this machine: export, TensorBoard; and what can't be done."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from switchpoint.command.cluster.client import Cluster
from switchpoint.command.cluster.curves import Curves
from switchpoint.command.runs import tensorboard
from switchpoint.provenance.metadata import MEMBER
from tests.kfp_server import Server
from tests.switchpoint.command.cluster.cases import ENDED, REPORT, Submit, call, publish, row


def model(digest: str, **records: Any) -> bytes:
    """A file with the lineage of a model, and nothing that Keras could load."""
    entry = {"step": "finetune", "digest": digest, "code_digest": "c" * 64, "parameters": {}, "inputs": {}}
    records = {"classes": ["pho", "ramen"], "inputs": {"dataset": "d" * 64}, **records}
    content = {"format": 1, "model": entry, "records": records, "checkpoints": {"inputs": {"weights": "e" * 64}}}
    with zipfile.ZipFile(out := io.BytesIO(), "w") as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER), json.dumps(content))
    return out.getvalue()


@pytest.fixture
def ran(server: Server, submit: Submit, gcs: Any) -> Any:
    """A run that succeeded, with report and model in the bucket."""
    server.play = lambda run: ENDED
    submit("--pipeline-root", gcs.uri("root"), "--profile", "gke-l4", "--registry", "registry.example")
    (run,) = server.runs
    run.state = "SUCCEEDED"
    publish(gcs, run)
    gcs.put(f"root/switchpoint/{run.run_id}/report/0b5e1f9c/model/model.keras", model("b"))
    return run


def test_a_run_of_a_cluster_is_exported_to_a_bucket(server: Server, ran: Any, gcs: Any) -> None:
    """README's command."""
    result = call("export", ran.run_id[:8], gcs.uri("models/food"), "--host", server.host)
    assert result.exit_code == 0, result.output
    base = f"models/food/{ran.run_id}"
    assert result.stdout.startswith(f"Published {gcs.uri(base)}; ")
    assert gcs.get(f"{base}/model.keras") == model("b")
    assert json.loads(gcs.get(f"{base}/classes.json")) == ["pho", "ramen"]
    assert json.loads(gcs.get("models/food/latest.json"))["version"] == ran.run_id
    card = gcs.get(f"{base}/README.md").decode()
    assert (
        "# efficientnet_lite0, switch epoch 2 at 0.0003" in card
        and "| 2 | 0.0003 | 1 | 3 | 80.0% | 79.0% | 0.700 | ←" in card
    )
    assert f"- run: `{ran.run_id}`" in card and "registry.example/switchpoint-python-finetune:gpu-" in card
    assert re.search(r"dataset: `sample`, digest `d{64}`", card), card  # as the run found it
    assert re.search(r"pretrained weights: `.*`, digest `e{64}`", card), card
    assert "Switch after epoch 2." in card and "| batch_size | 16 |" in card


def test_it_is_exported_to_a_folder_too(server: Server, ran: Any, tmp_path: Path) -> None:
    result = call("export", ran.run_id, str(tmp_path / "out"), "--host", server.host)
    assert (result.exit_code, result.stdout) == (0, f"Exported to {tmp_path}/out.\n")
    assert (tmp_path / "out" / "model.keras").read_bytes() == model("b")


def test_a_model_that_the_report_did_not_choose_is_not_published(server: Server, ran: Any, gcs: Any) -> None:
    gcs.put(f"root/switchpoint/{ran.run_id}/report/0b5e1f9c/model/model.keras", model("another"))
    result = call("export", ran.run_id, gcs.uri("models/food"), "--host", server.host)
    assert result.exit_code == 1 and "is not the model that the report chose" in result.output
    assert not [name for name in gcs.names() if name.startswith("models/")]


def test_a_run_without_a_model_is_not_exported(server: Server, ran: Any, tmp_path: Path) -> None:
    server.plays[ran.run_id] = [("CANCELING", []), ("FAILED", [])]
    call("show", ran.run_id, "--host", server.host)
    result = call("export", ran.run_id, str(tmp_path / "out"), "--host", server.host)
    assert result.exit_code == 1 and "is canceled: only a run that succeeded has a best model" in result.output


def trained(gcs: Any, run_id: str, place: str, switch_epoch: int, digest: str, seed: int = 1, epochs: int = 1) -> None:
    """A training's history and logs, where KFP's launcher puts them."""
    history = {
        "switch_epoch": switch_epoch,
        "learning_rate": 0.00012345678 if switch_epoch else 0.0,
        "seed": seed,
        "model_digest": digest,
        "epochs": [{}] * epochs,
    }
    gcs.put(f"root/switchpoint/{run_id}/{place}/history", json.dumps(history).encode())
    gcs.put(f"root/switchpoint/{run_id}/{place}/logs/train/events", f"{run_id} {digest}".encode())


def test_curves_of_a_cluster_are_those_of_the_run_cached_ones_too(
    server: Server, submit: Submit, ran: Any, gcs: Any
) -> None:
    submit("--pipeline-root", gcs.uri("root"), "--switch-epochs", "2")
    later = server.runs[1]
    later.state = "SUCCEEDED"
    publish(gcs, later)
    trained(gcs, ran.run_id, "transfer/1a", 0, REPORT["results"][0]["model_digest"])
    trained(gcs, ran.run_id, "finetune/1b", 4, "not in the later run")
    trained(gcs, later.run_id, "finetune/2b", 2, REPORT["results"][1]["model_digest"])
    kubeflow = Cluster(host=server.host)
    with Curves(kubeflow, kubeflow.find(later.run_id), None) as curves:
        place = curves.renew()
        found = {str(path.relative_to(place)): path.read_text() for path in place.rglob("events")}
    assert found == {
        "transfer/train/events": f"{ran.run_id} a", "finetune-from-02/train/events": f"{later.run_id} b",
    }  # fmt: skip
    assert not place.exists()


def test_curves_of_several_seeds_and_rates_are_named_by_them(
    server: Server, submit: Submit, ran: Any, gcs: Any
) -> None:
    rates = ("--finetune-learning-rate", "0.00012345678,0.0003")
    submit("--pipeline-root", gcs.uri("root"), "--switch-epochs", "2", "--seeds", "1,3", *rates)
    later = server.runs[1]
    later.state = "SUCCEEDED"
    more = [row(None, 3, 0.6, "c"), row(2, 3, 0.7, "d")]
    publish(gcs, later, REPORT | {"results": [*REPORT["results"], *more]})
    for number, each in enumerate([*REPORT["results"], *more]):
        made_by = ran if each["seed"] == 1 else later
        step = "finetune" if each["switch_epoch"] else "transfer"
        trained(gcs, made_by.run_id, f"{step}/{number}", each["switch_epoch"] or 0, each["model_digest"], each["seed"])
    kubeflow = Cluster(host=server.host)
    with Curves(kubeflow, kubeflow.find(later.run_id), None) as curves:
        found = {path.name for path in curves.renew().iterdir()}
    tuned = "finetune-from-02-at-0.00012345678"
    assert found == {f"{name}-seed-{seed}" for name in ("transfer", tuned) for seed in (1, 3)}


def test_tensorboard_shows_what_a_run_that_goes_on_has_trained(
    server: Server, ran: Any, gcs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.plays[ran.run_id] = [("RUNNING", [])]
    trained(gcs, ran.run_id, "transfer/1a", 0, "a")
    shown: list[Any] = []

    def serve(renew: Any, name: str, port: int, say: Any) -> int:
        shown.extend([name, port, sorted(path.name for path in renew().iterdir())])
        return 0

    monkeypatch.setattr(tensorboard, "serve", serve)
    result = call("tensorboard", ran.run_id, "--host", server.host, "--port", "7007")
    assert result.exit_code == 0, result.output
    assert shown == [ran.run_id, 7007, ["transfer"]]


def test_of_a_search_the_curve_of_the_last_rung_is_shown(server: Server, ran: Any, gcs: Any) -> None:
    server.plays[ran.run_id] = [("RUNNING", [])]
    for place, epochs in (("1a", 2), ("1b", 10), ("1c", 5)):
        trained(gcs, ran.run_id, f"finetune/{place}", 2, f"until {epochs}", epochs=epochs)
    kubeflow = Cluster(host=server.host)
    with Curves(kubeflow, kubeflow.find(ran.run_id), None) as curves:
        found = [path.read_text() for path in curves.renew().rglob("events")]
    assert found == [f"{ran.run_id} until 10"]


def test_curves_that_can_not_be_read_are_said_to_be_elsewhere(server: Server, submit: Submit) -> None:
    submit()
    result = call("tensorboard", server.runs[0].run_id, "--host", server.host)
    assert result.exit_code == 1 and "can't be listed from here; a bucket can: --pipeline-root" in result.output
    assert call("tensorboard", "--host", server.host).exit_code == 2
