"""What a step's container sees of this machine."""

from pathlib import Path

import pytest

from switchpoint.command.local import containers


def test_photos_weights_and_new_photos_are_there_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("photos", "incoming"):
        (tmp_path / name).mkdir()
    values = {"dataset": str(tmp_path / "photos"), "weights": "imagenet", "drift": str(tmp_path / "incoming")}
    mounts = containers.runner(values).container_run_args["mounts"]
    assert [(each["Target"], each["ReadOnly"]) for each in mounts] == [
        (values["dataset"], True), (values["drift"], True),
    ]  # fmt: skip
    assert len(containers.runner({**values, "drift": ""}).container_run_args["mounts"]) == 1
