import json
import os
from pathlib import Path

import pytest

from bench.pairs import Comparison, Measured, compare, table, write


def log(directory: Path, name: str, repeat: int) -> None:
    with (directory / "log").open("a") as file:
        file.write(f"{name} {repeat} {os.getpid()}\n")


def slow(directory: Path, repeat: int) -> Measured:
    log(directory, "slow", repeat)
    return Measured([9.0, 6.0, 6.0][repeat - 1], 0.50)


def fast(directory: Path, repeat: int) -> Measured:
    log(directory, "fast", repeat)
    return Measured([2.0, 3.0, 2.0][repeat - 1], [0.51, 0.52, 0.53][repeat - 1])


@pytest.mark.parametrize(("unit", "ratio"), [("seconds", 3.0), ("bytes", 3.0), ("images/s", 1 / 3)])
def test_runs_alternate_and_the_ratio_says_how_much_better_ours_is(tmp_path: Path, unit: str, ratio: float) -> None:
    rows = compare(Comparison(unit, 3, slow, {"fast": fast}), tmp_path)
    write(rows, tmp_path / "build" / "bench.json")
    (entry,) = json.loads((tmp_path / "build" / "bench.json").read_text())
    assert entry == {
        "name": "fast",
        "baseline": 6.0,
        "ours": 2.0,
        "unit": unit,
        "ratio": pytest.approx(ratio),
        "accuracy_difference_points": pytest.approx(2.0),
        # 1, 2 and 3 points: 2 ± 4.303 · 1 / √3.
        "accuracy_interval_points": [pytest.approx(-0.484, abs=0.001), pytest.approx(4.484, abs=0.001)],
        "repeats": 3,
    }
    shown = table(rows)
    assert shown.row_count == 1
    accuracies = next(column for column in shown.columns if column.header == "accuracy, points")
    assert list(accuracies.cells) == ["+2.00 [-0.48, +4.48]"]
    order = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert [name for name, _, _ in order] == ["slow", "fast", "fast", "slow", "slow", "fast"]
    assert len({process for _, _, process in order}) == 2


def test_an_accuracy_is_only_there_where_it_applies(tmp_path: Path) -> None:
    write(compare(Comparison("bytes", 1, plain, {"other": plain}), tmp_path), tmp_path / "bench.json")
    (entry,) = json.loads((tmp_path / "bench.json").read_text())
    assert "accuracy_difference_points" not in entry


def test_a_cosine_is_the_mean_of_ours_and_only_there_where_it_applies(tmp_path: Path) -> None:
    rows = compare(Comparison("bytes", 2, plain, {"alike": alike, "other": plain}), tmp_path)
    write(rows, tmp_path / "bench.json")
    first, second = json.loads((tmp_path / "bench.json").read_text())
    assert first["feature_cosine"] == pytest.approx(0.98)
    assert "feature_cosine" not in second
    shown = table(rows)
    cosines = next(column for column in shown.columns if column.header == "cosine")
    assert list(cosines.cells) == ["0.9800", ""]


def plain(directory: Path, repeat: int) -> Measured:
    return Measured(1.0)


def alike(directory: Path, repeat: int) -> Measured:
    return Measured(1.0, feature_cosine=[0.97, 0.99][repeat - 1])
