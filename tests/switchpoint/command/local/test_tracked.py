"""`run --mlflow` against a real MLflow server, which hangs and is killed in the middle."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mlflow_server import Server
from tests.project import FLAGS, Project

pytestmark = pytest.mark.slow

TRAININGS = {"transfer-seed-1": 3, "finetune-01-0.0003-seed-1": 2, "finetune-02-0.0003-seed-1": 2}  # epochs
PASSWORD = "of a dozen letters"
PARAMETERS = ["--dataset=photos", "--switch-epochs=1,2", *FLAGS, "--finetune-epochs=2"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("tracked"), tracked=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It asks who calls; MLflow's variables say it, here and in each step."""
    with Server(tmp_path_factory.mktemp("mlflow"), PASSWORD) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        patch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        yield server


def tracked(server: Server, run: str) -> tuple[Any, dict[str, Any]]:
    """A run's run in MLflow, and those of its steps by their names."""
    client = server.client()
    experiment = client.get_experiment_by_name("switchpoint").experiment_id
    (parent,) = client.search_runs([experiment], f"tags.`switchpoint.run` = '{run}'")
    nested = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    return parent, {each.info.run_name: each for each in nested}


def through_a_fault(project: Project, server: Server, fault: signal.Signals, *command: str) -> tuple[int, str]:
    """Run, and break the server when a fine-tuning has told its first epoch; exit code and output."""
    process, lines = project.start(*command, "--mlflow", server.uri), []
    with process:
        for line in process.stdout or ():
            if line.startswith("finetune") and "epoch 1/" in line and not any("epoch 1/2" in each for each in lines):
                server.signal(fault)
            lines.append(line)
    return process.returncode, "".join(lines)


def test_a_run_whose_server_hangs_goes_on_and_says_so_once(project: Project, server: Server) -> None:
    code, output = through_a_fault(project, server, signal.SIGSTOP, "run", *PARAMETERS)
    server.signal(signal.SIGCONT)
    assert code == 0, output
    assert output.count("is told no more of this run") == 1
    assert 1 <= output.count("is not told all") <= 2  # by each of the two that trained; later ones are not tracked


def test_a_run_is_not_started_where_the_server_does_not_know_who_calls(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted((project.place / "runs").glob("2*"))
    for password in ("of another server", None):
        if password:
            monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
        else:
            monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
        done = project.command("run", *PARAMETERS, "--mlflow", server.uri)
        assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
        assert f"MLflow at {server.uri}" in done.stderr and "MLFLOW_TRACKING_USERNAME" in done.stderr
        assert "prepare" not in done.stdout
    assert sorted((project.place / "runs").glob("2*")) == before


def test_a_run_that_is_cached_is_whole_in_mlflow(project: Project, server: Server) -> None:
    document = project.json("rerun", "--mlflow", server.uri)
    assert {step["state"] for step in document["steps"]} == {"cached"}  # that it is tracked is in no key
    parent, steps = tracked(server, document["id"])
    assert parent.info.status == "FINISHED"
    assert parent.data.params["switch_epochs"] == "[1, 2]"
    assert len(steps) == len(document["steps"])
    assert {each.data.tags["switchpoint.cached"] for each in steps.values()} == {"true"}
    for name, epochs in TRAININGS.items():
        history = server.client().get_metric_history(steps[f"{name}, cached"].info.run_id, "val_loss")
        assert sorted(each.step for each in history) == list(range(1, epochs + 1))
    best = next(row for row in document["results"] if row["model_digest"] == document["best"]["model_digest"])
    assert parent.data.metrics["test_accuracy"] == pytest.approx(best["test_accuracy"])
    assert "test_ece" in steps["evaluate-seed-1, cached"].data.metrics
    (model,) = steps["report, cached"].outputs.model_outputs
    files = {each.path for each in server.client().list_logged_model_artifacts(model.model_id)}
    assert {"MLmodel", "README.md", "classes.json", "input_example.json", "data"} <= files
    assert [each.path for each in server.client().list_artifacts(steps["report, cached"].info.run_id)] == [
        "report.html"
    ]


def test_what_trains_tells_each_epoch_itself_and_the_model_is_that_of_the_run(project: Project, server: Server) -> None:
    document = project.json("rerun", "--switch-epochs", "1,3", "--mlflow", server.uri)
    _, steps = tracked(server, document["id"])
    run = steps["finetune-03-0.0003-seed-1"].info.run_id
    step = next(each for each in document["steps"] if each["switch_epoch"] == 3 and each["name"] == "finetune")
    history = json.loads(Path(step["outputs"]["history"]).read_text())
    for name in ("loss", "categorical_accuracy", "val_loss", "val_categorical_accuracy", "learning_rate"):
        told = {each.step: each.value for each in server.client().get_metric_history(run, name)}
        assert told == pytest.approx({row["epoch"]: row[name] for row in history["epochs"]})
    told = {each.step: each.value for each in server.client().get_metric_history(run, "seconds")}
    assert told == pytest.approx(dict(enumerate(history["seconds"], start=1)))
    loaded = project.python(
        "import sys, mlflow, keras, numpy",
        f"mlflow.set_tracking_uri({server.uri!r})",
        f"ours = keras.models.load_model({document['model']!r}, compile=False)",
        f"uri = 'models:/{steps['report'].outputs.model_outputs[0].model_id}'",
        "theirs = mlflow.pyfunc.load_model(uri)",
        "photo = theirs.metadata.load_input_example(uri)",
        "assert photo.shape == (1, 64, 64, 3) and photo.max() > photo.min()",
        "assert numpy.array_equal(theirs.predict(photo.astype('uint8')), ours.predict(photo, verbose=0))",
        "print(theirs.metadata.signature)",
    )
    assert "Tensor('uint8', (-1, -1, -1, 3))" in loaded and "Tensor('float32', (-1, 3))" in loaded


def test_a_run_whose_server_is_killed_goes_on_and_one_that_never_answered_is_not_started(
    project: Project, server: Server
) -> None:
    shorter = ["--seeds=2", "--switch-epochs=1", "--robustness=off"]
    code, output = through_a_fault(project, server, signal.SIGKILL, "rerun", *shorter)
    assert code == 0, output
    assert output.count("is told no more of this run") == 1 and output.count("is not told all") == 1
    done = project.command("run", *PARAMETERS, "--mlflow", server.uri)
    assert done.returncode == 1 and "Nothing was started" in done.stderr
    assert "is no address of MLflow" in project.command("run", *PARAMETERS, "--mlflow", "experiment.yaml").stderr
