"""The command on this machine, as a person or a program uses it: real runs of the real pipeline, on a few photos."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from switchpoint.command.runs import store
from switchpoint.data.sources import dishes as sample
from switchpoint.provenance.digests import ROOT
from tests.project import COLLECT, FLAGS, RATE, REPORT, Project, place, that_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("a project"))  # with a space: of a person's paths


@pytest.fixture(scope="module")
def first(project: Project) -> dict[str, Any]:
    return project.json("run", "--dataset", "photos", "--switch-epochs", "1", *FLAGS)


def test_a_run_is_what_its_document_says(project: Project, first: dict[str, Any]) -> None:
    assert first["state"] == "succeeded"
    assert [place(step) for step in first["steps"]] == [
        ("prepare", None, None, None),
        ("transfer", 1, None, None),
        ("evaluate", 1, None, None),
        ("finetune", 1, 1, RATE),
        ("evaluate", 1, 1, RATE),
        COLLECT,
        REPORT,
    ]
    assert all(step["seconds"] > 0 and (step["state"], step["why"]) == ("ran", "first run") for step in first["steps"])
    assert [(row["switch_epoch"], row["seed"]) for row in first["results"]] == [(None, 1), (1, 1)]
    assert [(row["switch_epoch"], row["seeds"]) for row in first["starts"]] == [(None, [1]), (1, [1])]
    assert all(0 <= row["test_accuracy"] <= 1 and len(row["model_digest"]) == 64 for row in first["results"])
    for page in ("report.html", "look.html"):
        assert Path(first["report"]).with_name(page).read_text().lstrip().startswith("<!")
    assert first["duplicates"] == [] and first["best"]["switch_epoch"] in (None, 1)
    assert Path(first["model"]).suffix == ".keras"
    manifest = project.place / "runs" / first["id"] / "run.json"
    (read,) = (run for run in store.every(project.place / "runs") if run["id"] == first["id"])
    assert read == first and str(project.place) not in manifest.read_text().replace(str(project.photos), "")
    made = {Path(path).relative_to(project.place / "runs").parts[:3] for path in first["steps"][3]["outputs"].values()}
    assert made == {("artifacts", first["id"], "finetune-01-0.0003-seed-1")}
    assert first["versions"]["kfp"] == "2.17.0"
    for step in first["steps"]:
        assert (manifest.parent / step["log"]).read_text()
    assert "epoch 3/3" in (manifest.parent / "logs" / "transfer-seed-1.log").read_text()


def test_artifacts_say_where_they_came_from(project: Project, first: dict[str, Any]) -> None:
    steps = {(step["name"], step["switch_epoch"]): step for step in first["steps"]}  # of one seed

    def metadata(step: str, epoch: int | None, output: str) -> dict[str, str]:
        executed = Path(steps[step, epoch]["outputs"][output]).parent / "executor_output.json"
        return json.loads(executed.read_text())["artifacts"][output]["artifacts"][0]["metadata"]

    records, checkpoints = metadata("prepare", None, "records"), metadata("transfer", None, "checkpoints")
    model, confusion = metadata("finetune", 1, "model"), metadata("evaluate", 1, "confusion")
    source, pretrained = metadata("prepare", None, "source"), metadata("transfer", None, "pretrained")
    assert json.loads(records["inputs"]) == {"dataset": source["digest"]}
    assert json.loads(checkpoints["inputs"]) == {"records": records["digest"], "weights": pretrained["digest"]}
    assert json.loads(model["inputs"]) == {"records": records["digest"], "checkpoints": checkpoints["digest"]}
    assert json.loads(confusion["inputs"]) == {"records": records["digest"], "model": model["digest"]}
    assert model["digest"] == first["results"][1]["model_digest"]
    for found in (records, checkpoints, model, confusion, source, pretrained):
        assert None not in found.values()
        assert len(found["code_digest"]) == 64
    # What the UI and MLflow take for metrics are metrics; where these came from is in their file.
    for step, epoch, output in (
        ("evaluate", None, "evaluation"),
        ("evaluate", 1, "evaluation"),
        ("report", None, "results"),
    ):
        shown = metadata(step, epoch, output)
        assert shown.pop("display_name").startswith(("Evaluation, ", "Results of the best model"))
        assert "top-1 accuracy" in shown and all(isinstance(value, (int, float)) for value in shown.values())
        content = json.loads(Path(steps[step, epoch]["outputs"][output]).read_text())
        assert content["lineage"]["step"] == step and len(content["lineage"]["digest"]) == 64
        assert shown["top-1 accuracy"] == content.get("top_1", content.get("metrics", {}).get("top-1 accuracy"))
    evaluation = json.loads(Path(steps["evaluate", 1]["outputs"]["evaluation"]).read_text())
    assert evaluation["lineage"]["inputs"] == {"records": records["digest"], "model": model["digest"]}
    results = json.loads(Path(steps["report", None]["outputs"]["results"]).read_text())
    trainings = metadata("collect", None, "trainings")
    assert results["lineage"]["inputs"] == {"trainings.0": trainings["digest"]}
    collected = json.loads(trainings["inputs"])
    assert collected["evaluation.1"] == evaluation["digest"] and collected["model.1"] == model["digest"]


def test_a_person_sees_few_artifacts(project: Project, first: dict[str, Any]) -> None:
    outputs = {step["name"]: set(step["outputs"]) for step in first["steps"]}
    assert outputs["evaluate"] == {"evaluation", "confusion"}
    assert outputs["report"] == {"page", "results", "model"}


def test_a_run_and_its_model_have_a_reference_for_new_photos(project: Project, first: dict[str, Any]) -> None:
    for given in (first["id"], first["model"]):
        done = project.command("drift", given, "photos")
        assert done.returncode == 1
        assert "held-out photos are too few to tell a change from chance: 20 or more" in done.stderr


def test_the_notebook_shows_a_runs_curves(project: Project, first: dict[str, Any]) -> None:
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    settings = [flag.removeprefix("--").split("=") for flag in FLAGS]
    given = {name.replace("-", "_"): json.loads(value) if value[0].isdigit() else value for name, value in settings}
    own = f"experiment = {given | {'dataset': 'photos', 'switch_epochs': [1]}}"
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert 'experiment = {"recipe": "demo"}' in cells[0].source
    cells[0].source = re.sub(r"experiment = .*", own, cells[0].source)
    nbformat.write(notebook, project.place / "notebook.ipynb")
    command = [sys.executable, "-m", "jupyter", "execute", "--inplace", "notebook.ipynb"]
    environment = os.environ | {"PYTHONPATH": str(project.code)}
    done = subprocess.run(command, cwd=project.place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cells = [cell for cell in nbformat.read(project.place / "notebook.ipynb", 4).cells if cell.cell_type == "code"]
    planned, ran, curves, accuracies, named, listed = ([*cell.outputs] for cell in cells)
    assert planned[0].data["text/html"].count("cached") == 7
    said = "".join(each.text for each in ran[:-1])
    assert len([line for line in said.splitlines() if line.endswith(" cached")]) == 7, said
    assert "epoch 1" in ran[-1].data["text/html"]
    assert curves[0].data["image/png"]
    assert set(ast.literal_eval(accuracies[0].data["text/plain"])) == {None, 1}
    assert named[-1].text.strip() in os.listdir(project.photos)
    assert first["id"] in listed[0].data["text/html"]


def test_nothing_is_warmed_up_when_nothing_needs_it(project: Project, first: dict[str, Any], tmp_path: Path) -> None:
    code = "from pathlib import Path; Path(__file__).with_name('imported').touch(); raise ImportError"
    (tmp_path / "tensorflow.py").write_text(code)
    shutil.copytree(project.place / "runs", tmp_path / "runs")

    def states() -> list[str]:
        done = project.command("rerun", "--json", "--runs-dir", str(tmp_path / "runs"), path=str(tmp_path))
        return [step["state"] for step in json.loads(done.stdout)["steps"]]

    assert states() == ["cached"] * 7
    report = project.code / "components" / "report" / "step.py"
    as_it_was = report.read_text()
    report.write_text(as_it_was + "# edited\n")
    assert states() == ["cached"] * 6 + ["ran"]
    report.write_text(as_it_was)
    assert not (tmp_path / "imported").exists()


def test_runs_may_be_moved_and_those_go_that_others_were_cached_from(
    project: Project, first: dict[str, Any], tmp_path: Path
) -> None:
    moved = ("--runs-dir", str(tmp_path / "moved"))
    shutil.copytree(project.place / "runs", tmp_path / "copy")
    (tmp_path / "copy").rename(tmp_path / "moved")
    again = project.json("rerun", first["id"], *moved)
    assert {step["state"] for step in again["steps"]} == {"cached"}
    project.json("gc", "--keep", "1", *moved)
    (kept,) = project.json("runs", *moved)
    assert kept["id"] == again["id"]
    assert all(Path(path).exists() for step in kept["steps"] for path in step["outputs"].values())
    assert {step["state"] for step in project.json("plan", "--rerun", *moved)["steps"]} == {"cached"}


def test_a_cached_artifact_that_was_changed_is_made_again(project: Project, first: dict[str, Any]) -> None:
    outputs = {place(step): step["outputs"] for step in first["steps"]}
    evaluation = Path(outputs["evaluate", 1, 1, RATE]["evaluation"])
    as_it_was = evaluation.read_text()
    evaluation.write_text(json.dumps(json.loads(as_it_was) | {"top_1": 1.0}))
    steps = project.agree()
    assert that_run(steps) == {("evaluate", 1, 1, RATE), COLLECT, REPORT}
    assert steps["evaluate", 1, 1, RATE][1] == "its evaluation was changed since"
    assert that_run(project.agree()) == set()

    shard = next(Path(outputs["prepare", None, None, None]["records"]).glob("train-*"))
    shard.write_bytes(shard.read_bytes()[:-100])
    steps = project.agree()
    assert that_run(steps) == set(steps)
    assert steps["prepare", None, None, None][1] == "its records were changed since"
    assert steps["transfer", 1, None, None][1] == "input changed"
    assert that_run(project.agree()) == set()


def test_other_packages_run_everything_again(project: Project, first: dict[str, Any], tmp_path: Path) -> None:
    def planned(*flags: str) -> list[tuple[str, str]]:
        done = project.command("plan", "--rerun", "--json", *flags, path=str(tmp_path))
        return [(step["state"], step["why"]) for step in json.loads(done.stdout)["steps"]]

    assert {state for state, _ in planned()} == {"cached"}
    (tmp_path / "pillow-99.0.dist-info").mkdir()
    steps = planned()
    assert {state for state, _ in steps} == {"will run"}
    assert steps[0] == ("will run", "packages changed")


def test_plan_and_run_agree(project: Project, first: dict[str, Any]) -> None:
    assert that_run(project.agree()) == set()

    steps = project.agree("--switch-epochs", "1,2")
    assert that_run(steps) == {("finetune", 1, 2, RATE), ("evaluate", 1, 2, RATE), COLLECT, REPORT}
    assert steps["finetune", 1, 2, RATE][1] == "new switch epoch"
    assert steps[COLLECT][1] == steps[REPORT][1] == "input changed"

    steps = project.agree("--switch-epochs", "1", "--seeds", "1,2")
    of_second = {key for key in steps if key[1] == 2}
    assert len(of_second) == 5 and that_run(steps) == of_second | {REPORT}
    assert {steps[key][1] for key in of_second} == {"new seed"}
    shown = project.command("show").stdout
    assert "finetune 1, seed 2 " in shown and "transfer, seed 1 " in shown
    newest = project.json("show")
    assert [(row["switch_epoch"], row["seed"]) for row in newest["results"]] == [(None, 1), (None, 2), (1, 1), (1, 2)]
    graphs = project.command("lineage", "--all").stdout
    assert all(f"model, {name}, seed {seed}" in graphs for seed in (1, 2) for name in (
        "transfer learning alone", "fine-tuned from epoch 1 at 0.0003"
    ))  # fmt: skip
    planned = project.json("plan", "--rerun", "--switch-epochs", "1,3")["steps"]
    assert {place(step): step["why"] for step in planned if step["state"] == "will run"} == {
        **{(name, seed, 3, RATE): "new switch epoch" for name in ("finetune", "evaluate") for seed in (1, 2)},
        **dict.fromkeys((COLLECT, ("collect", 2, None, None), REPORT), "input changed"),
    }
    planned = project.json("plan", "--rerun", "--seeds", "1", "--finetune-learning-rate", "1e-4,3e-4")["steps"]
    assert {place(step): step["why"] for step in planned if step["state"] == "will run"} == {
        **{(name, 1, 1, 1e-4): "new learning rate" for name in ("finetune", "evaluate")},
        **dict.fromkeys((COLLECT, REPORT), "input changed"),
    }

    evaluate = project.code / "components" / "evaluate" / "step.py"
    evaluate.write_text(evaluate.read_text() + "# edited\n")
    steps = project.agree("--switch-epochs", "1", "--seeds", "1")
    assert that_run(steps) == {("evaluate", 1, None, None), ("evaluate", 1, 1, RATE), COLLECT, REPORT}
    assert steps["evaluate", 1, 1, RATE][1] == "code changed"
    assert steps[REPORT][1] == "input changed"

    steps = project.agree("--first-decay-steps", "7")
    assert steps["prepare", None, None, None][0] == "cached"
    assert that_run(steps) == set(steps) - {("prepare", None, None, None)}
    assert steps["transfer", 1, None, None][1] == "first_decay_steps changed from 0 to 7"

    photo = next(project.photos.glob("*/3.jpg"))
    photo.write_bytes(sample.photograph(f"{photo.parent.name}/train-040.jpg"))
    steps = project.agree()
    assert that_run(steps) == set(steps)
    assert steps["prepare", None, None, None][1] == "dataset changed"

    listed = project.json("runs")
    assert {run["state"] for run in listed} == {"succeeded"}
    assert listed[-1]["id"] == first["id"]
