"""A training on several devices, and in mixed precision, is the training on one."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from switchpoint.data.manifest import read_manifest
from switchpoint.provenance.digests import ROOT
from switchpoint.training.replicas import even_size
from tests.components.trainings import evaluated, history

pytestmark = pytest.mark.slow


# In one process for each number of devices: TensorFlow is imported, and told of its devices, once a process.
SPLIT = """
import json
import sys
from dataclasses import replace
from pathlib import Path
import tensorflow as tf
from switchpoint.training.logs import Logs
from switchpoint.training.resume import Resume
from tests.components.trainings import FINETUNE, TRANSFER, train, tune
from tests.shallow import shallow
records, root, devices, jobs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * devices
)
original = Logs.add
def whole(place, interrupted, phase, *arguments):
    for add in [stop, original] if interrupted else [original]:
        Logs.add = add
        try:
            with Resume(str(place / "resume")) as kept:
                phase(*arguments, kept)
        except KeyboardInterrupt:
            (place / f"{phase.__name__} was stopped").touch()
def stop(*_):
    raise KeyboardInterrupt
def both(place, interrupted=False, views=0, tuned=True, **job):
    place.mkdir()
    changes = {"batch_size": 11, "dropout": 0.0, "epochs": 2, "mixed_precision": "off"} | job
    whole(place, interrupted, train, records, place, replace(TRANSFER, **changes, feature_views=views))
    if tuned:
        whole(place, interrupted, tune, records, place, place / "tuned", replace(FINETUNE, **changes))
with shallow():
    for name, job in jobs.items():
        both(root / name, **job)
"""
JOBS: dict[str, dict[str, Any]] = {
    "0 views": {},
    "2 views": {"views": 2, "tuned": False},
    "a last photo alone": {"batch_size": 13, "tuned": False},
    "mixed": {"mixed_precision": "on"},
    "mixed, interrupted after each first epoch": {"mixed_precision": "on", "interrupted": True},
}


LONG = pytest.mark.timeout(1200)  # whichever comes first trains all jobs, alone on two cores for a minute


@pytest.fixture(scope="module")
def split(small_records: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Where all `JOBS` lie, trained in a process with so many devices."""

    @functools.cache
    def trained(devices: int) -> Path:
        root = tmp_path_factory.mktemp(f"devices-{devices}")
        jobs = {name: job for name, job in JOBS.items() if devices > 1 or "interrupted" not in job}
        done = subprocess.run(
            [sys.executable, "-c", SPLIT, small_records, root, str(devices), json.dumps(jobs)],
            env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return root

    return trained


def phases(place: Path) -> list[dict[str, Any]]:
    """The histories of transfer learning and, if there is any, fine-tuning, without times."""
    return [{**history(each), "seconds": 0} for each in (place, place / "tuned") if each.exists()]


@LONG
@pytest.mark.parametrize("job", ["0 views", "2 views"])
def test_two_devices_train_as_one(small_records: Path, split: Callable[[int], Path], job: str) -> None:
    """Batches of 11 photos are six and five; the last one, of five, is three and two."""
    assert read_manifest(small_records)["splits"]["train"]["photos"] % 11 == 5
    for one, two in zip(phases(split(1) / job), phases(split(2) / job), strict=True):
        for row, other in zip(one["epochs"], two["epochs"], strict=True):
            assert other == pytest.approx(row, rel=1e-4)


@LONG
def test_two_devices_in_mixed_precision_go_on_after_an_interruption(split: Callable[[int], Path]) -> None:
    parts = split(2) / "mixed, interrupted after each first epoch"
    assert {path.name for path in parts.glob("* was stopped")} == {"train was stopped", "tune was stopped"}
    assert phases(parts) == phases(split(2) / "mixed")


@pytest.mark.parametrize(
    ("photos", "replicas", "size"), [(100, 1, 32), (96, 4, 32), (97, 4, 31), (105, 4, 31), (3, 4, 32)]
)
def test_validation_is_dealt_so_that_no_replica_goes_without(photos: int, replicas: int, size: int) -> None:
    assert even_size(photos, 32, replicas) == size


@LONG
def test_a_last_photo_alone_is_given_to_both_devices(small_records: Path, split: Callable[[int], Path]) -> None:
    assert read_manifest(small_records)["splits"]["train"]["photos"] % 13 == 1
    one, two = (phases(split(devices) / "a last photo alone") for devices in (1, 2))
    for rows, others in zip(one, two, strict=True):
        for row, other in zip(rows["epochs"], others["epochs"], strict=True):
            # It counts twice in what training reports, and no more than others in what it does.
            assert other["val_loss"] == pytest.approx(row["val_loss"], rel=1e-4)
            assert other["loss"] == pytest.approx(row["loss"], rel=0.1)


@LONG
def test_in_mixed_precision_weights_stay_float32_and_the_file_too(
    small_records: Path, split: Callable[[int], Path], tmp_path: Path
) -> None:
    mixed = split(1) / "mixed"
    for phase in phases(mixed):
        assert len(phase["epochs"]) == 2 and not phase["diverged"]
        assert all(np.isfinite([row["loss"], row["val_loss"]]).all() for row in phase["epochs"])
    for place in (mixed, mixed / "tuned"):
        model = keras.models.load_model(place / "model" / "model.keras")
        assert {weight.dtype for weight in model.weights} == {"float32"}
        assert {layer.compute_dtype for layer in model._flatten_layers()} <= {"float32", "int64", "string"}
        result = evaluated(small_records, place, tmp_path, 2)
        assert np.isfinite(result["loss"])
