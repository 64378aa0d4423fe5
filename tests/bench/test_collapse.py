import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.collapse.labels import LABELS, relabel
from bench.collapse.pictures import draw_curves, draw_siblings

ONE_HOT = np.eye(3, dtype="float32")


def test_one_too_high_leaves_the_last_class_an_all_zero_row() -> None:
    _, rows, weights = relabel(None, ONE_HOT, "fault")
    np.testing.assert_array_equal(rows, [[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(weights, [1, 1, 1])


def test_the_control_takes_the_all_zero_rows_out_of_the_loss_and_nothing_else() -> None:
    _, rows, weights = relabel(None, ONE_HOT, "masked")
    np.testing.assert_array_equal(rows, relabel(None, ONE_HOT, "fault")[1])
    np.testing.assert_array_equal(weights, [1, 1, 0])


def test_right_labels_stay() -> None:
    _, rows, weights = relabel(None, ONE_HOT, "right")
    np.testing.assert_array_equal(rows, ONE_HOT)
    np.testing.assert_array_equal(weights, [1, 1, 1])


@pytest.mark.slow  # TensorFlow in a process of its own
def test_an_all_zero_row_costs_nothing_and_pulls_all_the_same_except_with_op_determinism() -> None:
    # A process of its own: op determinism cannot be switched off again, and other tests switch it on.
    program = "import json; from bench.collapse.gradients import gradients; print(json.dumps(gradients()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    for way in ("compiled", "eager"):
        assert found[way] == {"loss": 0, "absolute": pytest.approx(1), "sum": pytest.approx(1)}
    assert found["compiled, op determinism"] == {"loss": 0, "absolute": 0, "sum": 0}


def test_curves_hold_every_seed_and_a_median(tmp_path: Path) -> None:
    measured = {"train_loss": 1.0, "validation_loss": 1.0, "validation_accuracy": 0.5, "logsumexp": 0.0}
    rows = [
        {"labels": labels, "seed": seed, "phase": phase, "epoch": 1, **measured}
        for labels in LABELS
        for seed in (1, 2)
        for phase in ("transfer", "finetune")
    ]
    draw_curves(rows, tmp_path / "curves.svg")
    svg = (tmp_path / "curves.svg").read_text()
    for _, _, legend in LABELS.values():
        assert f">{legend}</text>" in svg
    # Per colour: 2 seeds and a median in each of 4 panels, and once in the legend.
    for number, _, _ in LABELS.values():
        assert svg.count(f"stroke: var(--s{number})") == 3 * 4 + 1
    assert "prefers-color-scheme:dark" in svg and "#0a0b" not in svg


def test_siblings_are_drawn_without_those_that_normalised_twice(tmp_path: Path) -> None:
    lines = ["run,setting,phase,split,metric,epoch,value"]
    for run, rate in (("A3", "1e-6"), ("B1", "1e-7"), ("D3", "1e-8")):
        for metric in ("loss", "categorical_accuracy"):
            lines += [f'{run},"after, {rate}",finetune,validation,{metric},{epoch},0.5' for epoch in (1, 2)]
            lines.append(f'{run},"after, {rate}",transfer,validation,{metric},1,0.5')
    (tmp_path / "siblings.csv").write_text("\n".join(lines))
    draw_siblings(tmp_path / "siblings.csv", tmp_path / "siblings.svg")
    svg = (tmp_path / "siblings.svg").read_text()
    assert ">learning rate 1e-6</text>" in svg and ">learning rate 1e-7</text>" in svg
    assert "1e-8" not in svg
