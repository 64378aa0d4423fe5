"""What a step's container sees of this machine."""

from pathlib import Path

from switchpoint.command.local import containers


def test_photos_weights_and_new_photos_are_there_read_only_and_once(tmp_path: Path) -> None:
    for name in ("photos", "incoming"):
        (tmp_path / name).mkdir()
    (tmp_path / "w.h5").touch()
    values = {
        "dataset": str(tmp_path / "photos"),
        "weights": str(tmp_path / "w.h5"),
        "drift": str(tmp_path / "incoming"),
    }

    def mounted(**other: str) -> list[tuple[str, bool]]:
        mounts = containers.runner(values | other).container_run_args["mounts"]
        return [(each["Target"], each["ReadOnly"]) for each in mounts]

    assert mounted() == [(each, True) for each in values.values()]
    assert mounted(weights="imagenet", drift="") == [(values["dataset"], True)]
    assert mounted(weights="none", drift=values["dataset"]) == [(values["dataset"], True)]
