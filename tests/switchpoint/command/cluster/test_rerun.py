"""A run again, with what is asked changed."""

import pytest
import yaml

from switchpoint.command.cluster import rerun as cluster_rerun
from switchpoint.provenance import digests as identity
from tests.kfp_server import Server
from tests.switchpoint.command.cluster.cases import Submit, call


def test_a_rerun_differs_in_what_was_asked_and_nothing_else(server: Server, submit: Submit) -> None:
    submit(
        "--pipeline-root", "gs://artifacts/root", "--service-account", "runner", "--seed", "7", "--experiment", "food"
    )
    first = server.runs[0]
    result = call("rerun", first.run_id, "--host", server.host, "--switch-epochs", "1,2,4,6")
    assert result.exit_code == 0, result.output
    second = server.runs[1]
    assert len(server.versions) == 1
    assert second.pipeline_version_reference == first.pipeline_version_reference
    assert second.experiment_id == first.experiment_id and second.service_account == "runner"
    assert second.runtime_config.pipeline_root == "gs://artifacts/root"
    assert second.runtime_config.parameters == first.runtime_config.parameters | {"switch_epochs": [1, 2, 4, 6]}
    assert second.display_name == "sample efficientnet_lite0 1,2,4,6"


def test_a_rerun_of_a_run_cloned_in_the_ui(server: Server, submit: Submit) -> None:
    submit()
    cloned = server.runs[0]
    cloned.runtime_config.parameters = {"switch_epochs": "[4, 2]", "dataset": "sample", "transfer_epochs": 6.0}
    result = call("rerun", cloned.run_id, "--host", server.host, "--seed", "3")
    assert result.exit_code == 0, result.output
    values = server.runs[1].runtime_config.parameters
    assert values["switch_epochs"] == [2, 4] and values["seed"] == 3 and values["batch_size"] == 32
    assert values["dataset_digest"] == ""


def test_a_rerun_takes_new_digests_for_what_is_new(server: Server, submit: Submit) -> None:
    submit()
    first = server.runs[0]
    first.runtime_config.parameters |= {"dataset_digest": "d" * 64, "weights_digest": "e" * 64}
    call("rerun", first.run_id, "--host", server.host, "--backbone", "efficientnet_b0")
    second = server.runs[1].runtime_config.parameters
    assert (second["dataset_digest"], second["weights_digest"]) == ("d" * 64, "")


def test_a_rerun_with_photos_on_another_volume_mounts_it(server: Server, submit: Submit) -> None:
    submit("--dataset", "pvc://photos/food", "--read-contents")
    first = server.runs[0]
    assert first.runtime_config.parameters["dataset_digest"] == "contents"
    call("rerun", first.run_id, "--host", server.host, "--seed", "3")
    assert len(server.versions) == 1, "the same volume, the same version"
    call("rerun", first.run_id, "--host", server.host, "--dataset", "pvc://others")
    assert server.runs[2].runtime_config.parameters["dataset_digest"] == ""
    assert [package.count("mountPath: /pvc/others") for package in server.packages] == [0, 2]


def test_a_rerun_with_other_code_says_which_steps_would_run_again(
    server: Server, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit("--profile", "gke-l4", "--registry", "registry.example")
    original = identity.code_digest

    def edited(step: str, device: str = "cpu") -> str:
        return "0" * 64 if step == "finetune" else original(step, device)

    monkeypatch.setattr(identity, "code_digest", edited)
    monkeypatch.setattr(cluster_rerun, "code_digest", edited)
    again = ("rerun", server.runs[0].run_id, "--host", server.host)
    result = call(*again, "--seed", "3")
    assert result.exit_code == 1 and len(server.runs) == 1
    assert "The code of finetune is not what run" in result.output
    assert "would run again, for every seed and switch epoch: finetune, evaluate, collect, report." in result.output
    assert call(*again, "--allow-code-change").exit_code == 0
    assert [version.tags["profile"] for version in server.versions] == ["gke-l4", "gke-l4"]
    assert "registry.example/switchpoint-python-finetune:gpu-0000000000000000" in server.packages[1]
    assert len(server.pipelines) == 1


def test_a_rerun_on_other_nodes_is_another_version(server: Server, submit: Submit) -> None:
    submit("--profile", "gke-l4")
    result = call("rerun", server.runs[0].run_id, "--host", server.host, "--profile", "gke-a100-spot")
    assert result.exit_code == 0, result.output
    images = [set(cluster_rerun._IMAGE.findall(package)) for package in server.packages]
    assert images[0] == images[1] and len(server.versions) == 2


def test_states_of_trainings_lie_below_the_root_and_stay_there_in_a_rerun(server: Server, submit: Submit) -> None:
    submit("--pipeline-root", "gs://bucket/runs")
    result = call("rerun", server.runs[0].run_id, "--host", server.host, "--profile", "gke-l4")
    assert result.exit_code == 0, result.output
    submit("--pipeline-root", "gs://bucket/runs", "--resume", "gs://other/states")
    submit()
    assert submit("--pipeline-root", "gs://bucket/runs", "--resume", "none").exit_code == 0  # the same package again
    call("rerun", server.runs[2].run_id, "--host", server.host, "--resume", "none", "--device", "gpu")
    places = ["gs://bucket/runs/resume", "gs://bucket/runs/resume", "gs://other/states", None, None]
    assert [cluster_rerun._resume(next(yaml.safe_load_all(package))) for package in server.packages] == places
