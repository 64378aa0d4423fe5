"""The first step of a run on a cluster: what is behind the addresses now."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.digest.component import digest as component
from components.digest.step import DigestConfig, candidates, digest
from switchpoint import addresses, storage
from switchpoint.command.parameters import resolve, with_digests
from switchpoint.data import sources
from switchpoint.errors import DatasetError, ParameterError, StorageError
from switchpoint.provenance.digests import ROOT

Make = Callable[..., Path]


@pytest.fixture
def mounted(folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes on the volume `photos`."""
    monkeypatch.setattr(addresses, "VOLUMES", tmp_path)
    return folder("photos/food", cats=4, dogs=4)


def taken(dataset: str, asked: str = "", weights: str = "imagenet", weights_digest: str = "") -> tuple[str, str]:
    found = digest(
        DigestConfig(
            dataset, asked, "efficientnet_lite0", weights, weights_digest, [1], [1], [0.1], "sweep", "", "", "sweep"
        )
    )
    return found.of_dataset, found.of_weights


def test_every_switch_epoch_is_tried_with_every_learning_rate_in_an_order_of_their_own() -> None:
    """Those of a run that was made in the UI come in any order, as floats, and twice."""
    assert [tuple(each.values()) for each in candidates([4.0, 1, 1], [3e-4, 1e-4])] == [  # type: ignore[list-item]
        (1, 1e-4), (1, 3e-4), (4, 1e-4), (4, 3e-4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("search", "drift", "promote", "compiled", "said"),
    [
        ("halving", "", "", "sweep", "ask for the steps of 'halving', .* compiled with those of 'sweep'"),
        ("sweep", "", "food", "sweep", "promote='food' ask for the steps of 'sweep, promote'"),
        ("sweep", "new/", "food", "sweep, promote", "drift='new/' .* of 'sweep, promote, drift'"),
        ("sweep", "", "", "sweep, promote", "ask for the steps of 'sweep', .* with those of 'sweep, promote'"),
    ],
)
def test_a_pipeline_of_other_steps_is_refused(search: str, drift: str, promote: str, compiled: str, said: str) -> None:
    """ "Clone run" in the UI can change the parameter, and not the steps."""
    given = DigestConfig(
        "sample", "d" * 64, "efficientnet_lite0", "none", "e", [1], [1], [0.1], search, drift, promote, compiled
    )
    with pytest.raises(ParameterError, match=said):
        digest(given)


def test_a_bucket_of_new_photos_is_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the digest of a dataset, which takes a while where there are many photos."""

    def refused(uri: str) -> list[storage.Object]:
        raise StorageError(f"Can't list or read {uri}")

    given = "sample", "d" * 64, "efficientnet_lite0", "none", "e", [1], [1], [0.1], "sweep"
    listed = [storage.Object(f"new/{size}.jpg", 1, None, size, 0.0) for size in (9, 3, 5)]
    monkeypatch.setattr(storage, "listing", lambda _: listed)
    monkeypatch.setattr(storage, "read_bytes", refused)
    with pytest.raises(StorageError, match=r"read gs://photos/new/3\.jpg"):
        digest(DigestConfig(*given, "gs://photos/new", "", "sweep, drift"))
    monkeypatch.setattr(storage, "listing", refused)
    monkeypatch.setattr(sources, "digest", lambda *_: pytest.fail("takes the digest first"))
    with pytest.raises(StorageError, match="list or read gs://photos/new"):
        digest(DigestConfig(*given, "gs://photos/new", "", "sweep, drift"))
    with pytest.raises(StorageError, match="list or read gs://photos/new"):
        with_digests(resolve("demo", {"drift": "gs://photos/new"}))


def test_what_is_given_is_handed_on_and_nothing_is_looked_at() -> None:
    assert taken("gs://no-such-bucket/photos", "d" * 64, "gs://no-such-bucket/w", "e" * 64) == ("d" * 64, "e" * 64)


def test_what_is_left_empty_is_what_the_command_takes_on_this_machine(folder: Make) -> None:
    photos = str(folder(cats=4, dogs=4))
    values = with_digests(resolve("demo", {"dataset": photos}))
    assert taken(photos) == (values["dataset_digest"], values["weights_digest"])


def test_an_object_that_was_replaced_is_another_digest_and_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [
        storage.Object("photos/cats/1.jpg", 1, "AAAAAA==", 9, 1.0),
        storage.Object("photos/dogs/1.jpg", 2, "BBBBBB==", 9, 2.0),
    ]
    monkeypatch.setattr(storage, "listing", lambda uri: listed)
    monkeypatch.setattr(storage, "download", lambda *_: pytest.fail("reads the bucket"))
    before = taken("gs://bucket/photos", weights="gs://bucket/photos")
    listed[1] = listed[1]._replace(version=3)
    after = taken("gs://bucket/photos", weights="gs://bucket/photos")
    assert before[0] != after[0] and before[1] != after[1]


def test_a_volume_goes_by_sizes_and_times_and_by_contents_when_asked(mounted: Path) -> None:
    times, contents = taken("pvc://photos/food")[0], taken("pvc://photos/food", "contents")[0]
    assert contents == taken(str(mounted))[0] != times
    os.utime(mounted / "cats" / "000.jpg", (1, 1))
    assert taken("pvc://photos/food")[0] != times
    assert taken("pvc://photos/food", "contents")[0] == contents
    (mounted / "cats" / "000.jpg").write_bytes(b"another photo")
    assert taken("pvc://photos/food", "contents")[0] != contents


@pytest.mark.parametrize("asked", ["", "contents"])
def test_prepare_knows_both_digests_of_a_volume(mounted: Path, asked: str) -> None:
    found = taken("pvc://photos/food", asked)[0]
    source = sources.open_source("pvc://photos/food", found)
    assert source.digest == found
    assert [photo.read() for photo in source] == [path.read_bytes() for path in sorted(mounted.rglob("*.jpg"))]


def test_an_archive_on_a_volume_is_read_in_place(
    official: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "VOLUMES", tmp_path)
    (tmp_path / "photos").mkdir()
    place = official("cats", "dogs")
    subprocess.run(["tar", "-czf", tmp_path / "photos" / "food.tar.gz", "-C", place.parent, place.name], check=True)
    found = taken("pvc://photos/food.tar.gz")[0]
    source = sources.open_source("pvc://photos/food.tar.gz", found)
    assert (source.digest, len(source), source.classes) == (found, 12, ["cats", "dogs"])
    os.utime(tmp_path / "photos" / "food.tar.gz", (1, 1))
    assert taken("pvc://photos/food.tar.gz")[0] != found


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            "pvc://others/food",
            r"none is mounted at .*/others\. `switchpoint submit --dataset pvc://others/food` mounts it",
        ),
        ("pvc://photos/drinks", "is not there: it is .*/photos/drinks"),
        ("pvc://photos/../../etc", "is no address on a volume"),
        ("pvc://Photos", "is no address on a volume"),
    ],
)
def test_what_is_not_on_a_volume_is_told(mounted: Path, address: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        taken(address)


def test_the_component_gives_kfp_both_digests(folder: Make, tmp_path: Path) -> None:
    """Run as KFP's launcher runs it."""
    values = {"dataset": str(folder(cats=4, dogs=4)), "dataset_digest": "", "backbone": "efficientnet_lite0"}
    executor_input = {
        "inputs": {
            "parameterValues": values
            | {
                "weights": "none",
                "weights_digest": "",
                "switch_epochs": [1, 2],
                "learning_rates": [1],
                "seeds": [3, 2],
                "search": "halving",
                "shape": "halving",
                "drift": "",
                "promote": "",
            }
        },
        "outputs": {
            "parameters": {
                name: {"outputFile": str(tmp_path / name)}
                for name in ("of_dataset", "of_weights", "candidates", "first_seed")
            },
            "artifacts": {"digests": {"artifacts": [{"name": "digests", "uri": str(tmp_path / "digests")}]}},
            "outputFile": str(tmp_path / "executor_output.json"),
        },
    }
    container = component.component_spec.implementation.container
    arguments = [json.dumps(executor_input) if word == "{{$}}" else word for word in container.args]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # It starts in a second where it does not wait for TensorFlow.
    (tmp_path / "tensorflow.py").write_text("raise ImportError('the step is not to need it')")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "PATH": path}
    done = subprocess.run(
        [*container.command, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "executor_output.json").read_text())["parameterValues"]
    assert written.pop("candidates") == [{"switch_epoch": epoch, "learning_rate": 1.0} for epoch in (1, 2)]
    assert written.pop("first_seed") == 2
    assert tuple(written.values()) == taken(values["dataset"], weights="none")
    digests = json.loads((tmp_path / "digests").read_text())
    assert digests == {"dataset_digest": written["of_dataset"], "weights_digest": written["of_weights"]}
    assert f"has the digest {written['of_dataset']}" in done.stdout
