"""The verbs for programs and notebooks, on runs whose documents were written by hand; a real run: local/test_run.py."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import switchpoint
from switchpoint.command import api
from switchpoint.command.errors import ArtifactGoneError, NoModelError, RunFailedError, RunNotFoundError
from switchpoint.command.runs import store
from switchpoint.command.runs.curves import Curves
from switchpoint.errors import ParameterError, SwitchpointError
from switchpoint.provenance import digests


def history(switch_epoch: int, seed: int, *accuracies: float, rate: float = 3e-4) -> dict[str, Any]:
    rows = [
        {"epoch": epoch, "loss": 2 - value, "val_loss": 2.1 - value, "learning_rate": 0.001,
         "categorical_accuracy": value, "val_categorical_accuracy": value - 0.1}
        for epoch, value in enumerate(accuracies, 1)
    ]  # fmt: skip
    return {"phase": "finetune" if switch_epoch else "transfer", "switch_epoch": switch_epoch, "seed": seed,
            "learning_rate": rate if switch_epoch else 0.0, "epochs": rows}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> switchpoint.Run:
    """Two seeds, each with transfer learning and a fine-tuning from epoch 2."""
    document: Any = store.create(tmp_path, {"dataset": "sample", "switch_epochs": [2], "seeds": [1, 2],
                                             "finetune_learning_rate": [3e-4]}, "subprocess")  # fmt: skip
    for seed in (1, 2):
        for epoch, values in ((None, (0.3, 0.5, 0.6)), (2, (0.7, 0.8))):
            place = tmp_path / document["id"] / f"{seed}-{epoch}" / "history"
            place.parent.mkdir()
            place.write_text(json.dumps(history(epoch or 0, seed, *values)))
            step = {"name": "finetune" if epoch else "transfer", "seed": seed, "switch_epoch": epoch, "state": "ran",
                    "learning_rate": 3e-4 if epoch else None}  # fmt: skip
            document["steps"].append(step | {"outputs": {"history": str(place.relative_to(tmp_path))}})
    row = {"switch_epoch": 2, "learning_rate": 3e-4, "seed": 1, "test_accuracy": 0.7, "validation_accuracy": 0.8,
           "test_loss": 0.9, "gain": None, "diverged": False, "seconds": 9.0, "model_digest": "b"}  # fmt: skip
    document |= {"state": "succeeded", "results": [row], "starts": [row], "conclusion": "Switch [after] epoch 2.",
                 "best": {"switch_epoch": 2, "model_digest": "b"}, "model": f"{document['id']}/model.keras",
                 "report": f"{document['id']}/report.html"}  # fmt: skip
    store.write(tmp_path, document)
    return switchpoint.show(document["id"][:15], tmp_path)


def test_importing_it_is_quick_and_only_what_is_used_is_imported() -> None:
    code = (
        "import sys, switchpoint; assert [n for n in sys.modules if n.startswith('switchpoint.')] == [];"
        "assert {'run', 'plan', 'runs', 'show', 'Run'} <= set(dir(switchpoint));"
        "switchpoint.run; heavy = {'kfp', 'tensorflow', 'keras', 'matplotlib'} & set(sys.modules); assert not heavy;"
        "import switchpoint.errors; from switchpoint import addresses;"
        "assert not hasattr(switchpoint, 'rum'); switchpoint.plan(recipe='demo', runs_dir='/nowhere');"
        "heavy = {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_is_in_no_image_though_the_package_names_its_verbs() -> None:
    for step in digests.STEPS:
        files = digests.step_files(step)
        assert Path("switchpoint/__init__.py") in files
        assert not [file for file in files if "command" in file.parts]


def test_of_a_searchs_rungs_a_runs_curves_have_the_last(run: switchpoint.Run) -> None:
    (whole,) = [step for step in run.document["steps"] if (step["name"], step["seed"]) == ("finetune", 1)]
    rung = Path(whole["outputs"]["history"]).with_name("rung")
    rung.write_text(json.dumps(history(2, 1, 0.7)))
    run.document["steps"].insert(0, {**whole, "rung": 1, "outputs": {"history": str(rung)}})
    assert len(run.curves) == 4 and {len(each["epochs"]) for each in run.curves if each["switch_epoch"]} == {2}


def test_a_runs_curves_are_its_histories_and_a_picture(run: switchpoint.Run) -> None:
    assert [(each["switch_epoch"], each["seed"], len(each["epochs"])) for each in run.curves] == [
        (0, 1, 3), (2, 1, 2), (0, 2, 3), (2, 2, 2),
    ]  # fmt: skip
    axes = run.curves.figure().axes[0]
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    # Fine-tuning goes on from where transfer learning was after epoch 2.
    assert lines["fine-tuning from epoch 2"] == [[2, 0.4], [3, pytest.approx(0.6)], [4, pytest.approx(0.7)]]
    assert len(axes.lines) == 8 and len(axes.get_legend().get_texts()) == 2
    assert run.curves.figure("loss").axes[0].get_ylabel() == "Loss (nats)"
    assert run.curves._repr_png_().startswith(b"\x89PNG")
    assert repr(run.curves) == "<Curves of 4 trainings>"
    two = Curves([history(0, 1, 0.5), history(1, 1, 0.6), history(1, 1, 0.7, rate=1e-4)])  # type: ignore[list-item]
    assert [text.get_text() for text in two.figure().axes[0].get_legend().get_texts()] == [
        "transfer learning", "fine-tuning from epoch 1 at 0.0003", "fine-tuning from epoch 1 at 0.0001",
    ]  # fmt: skip
    next(run.runs_dir.glob("*/1-2/history")).unlink()
    with pytest.raises(ArtifactGoneError, match=r"1-2/history is gone. Run the pipeline again"):
        assert run.curves


def test_runs_are_shown_as_the_command_shows_them(run: switchpoint.Run) -> None:
    assert [each.id for each in switchpoint.runs(run.runs_dir)] == [run.id]
    assert (run.state, run.results, run.conclusion) == ("succeeded", run.document["results"], "Switch [after] epoch 2.")
    shown = run._repr_mimebundle_([], [])
    assert "epoch 2, chosen" in shown["text/html"] and "Switch [after] epoch 2." in shown["text/plain"]
    assert run.id in switchpoint.runs(run.runs_dir)._repr_mimebundle_([], [])["text/html"]
    assert repr(run) == f"<Run {run.id}: succeeded>"
    (run.runs_dir / run.id / "report.html").touch()
    assert run.report == run.runs_dir / run.id / "report.html"
    with pytest.raises(ArtifactGoneError, match="its model is not there"):
        run.model()
    run.document |= {"state": "failed", "model": None}
    with pytest.raises(NoModelError, match="only a run that succeeded"):
        run.model()
    with pytest.raises(RunNotFoundError):
        switchpoint.show("2000", run.runs_dir)


def test_a_plan_takes_a_file_and_what_is_given_wins(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text("recipe: demo\nswitch_epochs: [1, 2]")
    steps = switchpoint.plan(file, seeds=range(1, 3), runs_dir=tmp_path / "runs")
    assert len(steps) == 16 and {step["state"] for step in steps} == {"will run"}
    shown = steps._repr_mimebundle_([], [])["text/plain"]
    assert "finetune 2, seed 2" in shown and "It takes about" in shown
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dropuot": 0.1}, r"Unknown parameters: dropuot. Did you mean dropout\?"),
        ({"switch_epochs": object}, "switch_epochs=<class 'object'>: give whole numbers"),
        ({"batch_size": "many"}, "batch_size='many': give a value of type int"),
        ({"dropout": None}, "dropout=None: give a value of type float"),
        ({"dataset": 3}, "dataset=3: give a value of type str"),
        ({"dataset": Path("no/such")}, "Dataset 'no/such' does not exist"),
        ({"image_size": 1}, r"image_size=1: give a value in \[32, 1024\]"),
    ],
)
def test_values_are_checked_as_flags_are(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    for verb in (switchpoint.run, switchpoint.plan):
        with pytest.raises(ParameterError, match=message):
            verb(recipe="demo", runs_dir=tmp_path / "runs", **given)
    assert not (tmp_path / "runs").exists()


def test_a_run_that_failed_or_was_interrupted_is_an_exception(
    run: switchpoint.Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from switchpoint.command.local import run as running

    step: Any = {"name": "prepare", "state": "failed", "seed": None, "switch_epoch": None, "learning_rate": None,
                 "error": "No photo.", "log": "logs/prepare.log"}  # fmt: skip
    monkeypatch.setattr(running, "run", lambda *_: run.document | {"state": "failed", "steps": [step]})
    with pytest.raises(RunFailedError, match=r"prepare failed: No photo.\nIts log: .*logs/prepare.log"):
        switchpoint.run(recipe="demo", runs_dir=tmp_path)
    monkeypatch.setattr(running, "run", lambda *_: run.document | {"state": "interrupted"})
    with pytest.raises(KeyboardInterrupt, match="the same call goes on from there"):
        switchpoint.run(recipe="demo", runs_dir=tmp_path)


def test_code_that_was_edited_since_it_was_imported_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    switchpoint.plan(recipe="demo", runs_dir=tmp_path)
    monkeypatch.setitem(api._imported, "transfer", "another")
    with pytest.raises(SwitchpointError, match=r"The code of transfer was edited .*restart the kernel"):
        switchpoint.plan(recipe="demo", runs_dir=tmp_path)


def test_the_notebook_tells_a_figure_a_start_whatever_is_tried() -> None:
    cells = json.loads((digests.ROOT / "docs" / "notebook.ipynb").read_text())["cells"]
    (source,) = (cell["source"] for cell in cells if "test_accuracy" in "".join(cell["source"]))
    rows = [{"switch_epoch": 2, "test_accuracy": value} for value in (0.8, 0.6)]  # of two seeds
    run = SimpleNamespace(results=rows, starts=[{"switch_epoch": 2, "test_accuracy": 0.7}])
    assert eval("".join(source), {"run": run}) == {2: 0.7}
