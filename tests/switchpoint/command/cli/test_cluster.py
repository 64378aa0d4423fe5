import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from switchpoint.command.cli.main import main
from switchpoint.command.publish import card as model_card
from switchpoint.command.runs import outputs
from switchpoint.command.runs import store as runs
from tests import tiny


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture
def run(tmp_path: Path) -> dict[str, Any]:
    """A run that succeeded: what its manifest says, and the artifacts that an export reads."""
    directory = tmp_path / "runs"
    parameters = {
        "dataset": "sample", "dataset_digest": "d" * 64, "backbone": "efficientnet_lite0", "weights": "imagenet",
        "weights_digest": "e" * 64, "image_size": 64,
        "seed": 7, "seeds": [1, 2],
    }  # fmt: skip
    document = runs.create(directory, parameters, "subprocess")
    base = directory / document["id"]
    (base / "prepare" / "records").mkdir(parents=True)
    (base / "report" / "model").mkdir(parents=True)
    (base / "prepare" / "records" / "manifest.json").write_text(json.dumps({"classes": ["pho", "ramen"]}))
    (base / "report" / "results").write_text(json.dumps({"best": {"switch_epoch": 2, "model_digest": "b"}}))
    (base / "report" / "model" / "model.keras").write_bytes(b"a model")

    def row(epoch: int | None, seed: int, digest: str) -> dict[str, Any]:
        return {"switch_epoch": epoch, "learning_rate": epoch and 0.0003, "seed": seed,
                 "best_epoch": 3, "validation_accuracy": 0.8,
                "test_accuracy": 0.789, "test_loss": 0.7, "diverged": False, "seconds": 9.0,
                "model_digest": digest}  # fmt: skip

    document |= {
        "state": "succeeded",
        "results": [row(None, 1, "a"), row(None, 2, "c"), row(2, 1, "d"), row(2, 2, "b")],
        "conclusion": "Switch after epoch 2.",
        "model": str(base / "report" / "model" / "model.keras"),
        "steps": [
            {"name": name, "image": f"switchpoint-python-{name}:cpu-1", "outputs": {output: str(base / name / output)}}
            for name, output in (("prepare", "records"), ("report", "results"))
        ],
    }
    document["steps"][1]["outputs"]["model"] = str(base / "report" / "model")
    as_the_report_left_it(document)
    runs.write(directory, document)
    return document


def as_the_report_left_it(run: dict[str, Any]) -> None:
    """What lies there is what the step left behind."""
    made = run["steps"][1]["outputs"]
    outputs.remember({name: outputs.Output(Path(made[name]), None) for name in ("model", "results")})


def test_an_upload_that_is_repeated_sends_nothing(gcs: Any, folder: Callable[..., Path]) -> None:
    photos = folder(cats=3, dogs=2)
    first = call("upload", str(photos), gcs.uri("datasets/pets"))
    assert first.exit_code == 0 and first.stdout == f"5 sent, 0 already there: {gcs.uri('datasets/pets')}\n"
    assert "datasets/pets/cats/000.jpg" in gcs.names()
    assert call("upload", str(photos), gcs.uri("datasets/pets")).stdout.startswith("0 sent, 5 already there")
    gcs.put("datasets/pets/birds/0.jpg", b"a bird")
    assert "1 other objects" in call("upload", str(photos), gcs.uri("datasets/pets")).stderr


def test_an_upload_without_the_right_says_which(gcs: Any, folder: Callable[..., Path]) -> None:
    gcs.fail(403, times=100, message="me@example.com does not have storage.objects.list access.")
    result = call("upload", str(folder(cats=1)), gcs.uri("datasets/pets"))
    assert result.exit_code == 1 and "storage.objects.list" in result.output


def test_an_export_is_a_model_its_classes_and_a_card(gcs: Any, run: dict[str, Any], tmp_path: Path) -> None:
    export = ("export", run["id"], gcs.uri("models/food"), "--runs-dir", str(tmp_path / "runs"))
    result = call(*export)
    assert result.exit_code == 0, result.output
    base = f"models/food/{run['id']}"
    assert f"Published {gcs.uri(base)}; {gcs.uri('models/food')}/latest.json points to it." in result.output
    assert gcs.get(f"{base}/model.keras") == b"a model"
    assert json.loads(gcs.get(f"{base}/classes.json")) == ["pho", "ramen"]
    card = gcs.get(f"{base}/README.md").decode()
    for text in (
        "switch epoch 2",
        "78.9%",
        "Switch after epoch 2.",
        "d" * 64,
        "e" * 64,
        "switchpoint-python-report:cpu-1",
    ):
        assert text in card
    assert json.loads(gcs.get("models/food/latest.json"))["version"] == run["id"]
    assert call(*export).exit_code == 0  # again: nothing to do


def tiny_model(run: dict[str, Any], folder: Callable[..., Path]) -> None:
    """A model and photos that an export can be compared on."""
    tiny.save(Path(run["model"]), ["pho", "ramen"])
    as_the_report_left_it(run)
    run["parameters"]["dataset"] = str(folder(pho=20, ramen=20))
    runs.write(Path(run["model"]).parents[3], run)


def test_an_export_may_be_h5_or_a_folder_and_replaces_nothing(
    gcs: Any, run: dict[str, Any], tmp_path: Path, folder: Callable[..., Path]
) -> None:
    import keras

    tiny_model(run, folder)
    flags = ("--runs-dir", str(tmp_path / "runs"))
    for kind in ("keras", "h5"):
        made = tmp_path / kind
        result = call("export", run["id"], str(made), "--format", kind, *flags)
        assert result.exit_code == 0 and result.stdout.startswith(f"Exported to {made}."), result.output
        said = "32 photos of the run's dataset, it names the class that Keras names for 32, and a probability differs"
        assert (said in result.stdout) == (said in (made / "README.md").read_text()) == (kind == "h5")
        assert {path.name for path in made.iterdir()} == {f"model.{kind}", "classes.json", "README.md"}
        assert f'load_model("model.{kind}"' in (made / "README.md").read_text()
    one, other = (keras.models.load_model(tmp_path / kind / f"model.{kind}", compile=False) for kind in ("keras", "h5"))
    photo = np.random.default_rng(1).integers(0, 256, (1, 50, 70, 3), dtype=np.uint8)
    np.testing.assert_array_equal(one.predict(photo, verbose=0), other.predict(photo, verbose=0))
    again = call("export", run["id"], str(tmp_path / "h5"), *flags)
    assert again.exit_code == 1 and "exists and is not replaced" in again.output
    assert not (tmp_path / "h5" / "model.keras").exists()
    for _ in range(2):
        assert call("export", run["id"], gcs.uri("models/food"), "--format", "h5", *flags).exit_code == 0
    version = json.loads(gcs.get("models/food/latest.json"))["version"]
    assert version == f"{run['id']}-h5"
    assert gcs.get(f"models/food/{version}/model.h5") == (tmp_path / "h5" / "model.h5").read_bytes()


def test_a_format_of_several_files_is_published_whole(
    gcs: Any, run: dict[str, Any], tmp_path: Path, folder: Callable[..., Path]
) -> None:
    tiny_model(run, folder)
    flags = ("--format", "savedmodel", "--runs-dir", str(tmp_path / "runs"))
    result = call("export", run["id"], gcs.uri("models/food"), *flags)
    assert result.exit_code == 0, result.output
    pointer = json.loads(gcs.get("models/food/latest.json"))
    assert pointer["version"].startswith(f"{run['id']}-savedmodel-")  # TensorFlow writes other bytes each time
    assert {"README.md", "classes.json", "model.savedmodel/variables/variables.index"} <= set(pointer["files"])
    assert call("export", run["id"], str(tmp_path / "out"), *flags).exit_code == 0
    assert (tmp_path / "out" / "model.savedmodel" / "saved_model.pb").is_file()


def test_only_a_run_that_succeeded_is_exported(gcs: Any, run: dict[str, Any], tmp_path: Path) -> None:
    runs.write(tmp_path / "runs", run | {"state": "failed"})
    result = call("export", run["id"], gcs.uri("models/food"), "--runs-dir", str(tmp_path / "runs"))
    assert result.exit_code == 1 and "only a run that succeeded" in result.output


def test_the_card_marks_the_model_it_is_about(run: dict[str, Any], tmp_path: Path) -> None:
    lines = model_card.card(run, "keras", "").splitlines()
    assert [line.startswith("| 2 | 0.0003 | 2 |") for line in lines if line.endswith("← this model")] == [True]
    assert len([line for line in lines if line.startswith(("| 2 | ", "| never | "))]) == 4


def test_a_run_that_was_moved_is_exported(run: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "runs").rename(tmp_path / "kept")
    result = call("export", run["id"], str(tmp_path / "out"), "--runs-dir", str(tmp_path / "kept"))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "model.keras").read_bytes() == b"a model"


def test_an_export_of_what_is_gone_says_so(run: dict[str, Any], tmp_path: Path) -> None:
    flags = ("--runs-dir", str(tmp_path / "runs"))
    Path(run["model"]).unlink()
    result = call("export", run["id"], str(tmp_path / "out"), *flags)
    assert result.exit_code == 1 and f"{run['model']} is gone. Run the pipeline again" in result.output
    assert not (tmp_path / "out").exists()


def test_a_model_that_was_changed_since_is_not_exported(gcs: Any, run: dict[str, Any], tmp_path: Path) -> None:
    model = Path(run["model"])
    before = model.stat()
    model.write_bytes(b"A MODEL")
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    for destination in (str(tmp_path / "out"), gcs.uri("models/food")):
        result = call("export", run["id"], destination, "--runs-dir", str(tmp_path / "runs"))
        assert result.exit_code == 1
        assert (
            f"{model} is not published: of the report that it belongs to, its model was changed since. Run the"
            in result.output
        )
    assert not (tmp_path / "out").exists() and gcs.names() == []


def test_an_export_leaves_what_lies_beside_it_alone(run: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "mine").touch()
    assert call("export", run["id"], str(tmp_path / "out"), "--runs-dir", str(tmp_path / "runs")).exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"out", "out.part", "runs"}
    assert (tmp_path / "out.part" / "mine").exists()


def test_an_exported_folder_has_the_permissions_of_new_ones(run: dict[str, Any], tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert call("export", run["id"], str(tmp_path / "out"), "--runs-dir", str(tmp_path / "runs")).exit_code == 0
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()} == {0o644}


def test_an_export_to_where_nothing_can_be_written_says_so(run: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = call("export", run["id"], str(tmp_path / "file" / "out"), "--runs-dir", str(tmp_path / "runs"))
    assert result.exit_code == 1 and f"{tmp_path}/file/out can't be written: Not a directory." in result.output
