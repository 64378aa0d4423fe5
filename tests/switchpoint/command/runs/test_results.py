"""What a run's document says of its results and its photos."""

import json
from pathlib import Path
from typing import Any

from switchpoint.command.runs.results import chosen, collect

BEST = {"switch_epoch": 2, "model_digest": "b"}


def row(switch_epoch: int | None, test_accuracy: float) -> dict[str, Any]:
    return {"switch_epoch": switch_epoch, "test_accuracy": test_accuracy}


def test_a_run_tells_what_was_found_about_its_photos_and_what_was_chosen(tmp_path: Path) -> None:
    duplicates = [{"kind": "across splits", "photos": ["a/1.jpg", "a/2.jpg"]}]
    manifest = {
        "left_out": [{"photo": "a/3.jpg", "reason": "empty"}],
        "duplicates": duplicates,
        "notes": ["1 files lie"],
    }
    verdict = {"told_apart": False, "against": [], "photos": 60, "worse_on_test": False}
    differences = [{"start": 2, "against": None, "points": -20.0, "low": -30.0, "high": -10.0}]
    results = {"results": [row(None, 0.9), row(2, 0.7)], "best": BEST, "conclusion": "…", "verdict": verdict}
    results |= {"differences": differences}
    files = {"look": "<html>look", "page": "<html>page", "results": json.dumps(results)}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "manifest.json").write_text(json.dumps(manifest))
    outputs = {name: str(tmp_path / name) for name in (*files, "records", "model")}
    document: Any = {"steps": [{"name": name, "outputs": outputs} for name in ("prepare", "report")]}
    collect(document, tmp_path / "run" / "report.html")
    assert {key: document[key] for key in manifest} == manifest
    found = {path.name: path.read_text() for path in (tmp_path / "run").iterdir()}
    assert found == {"look.html": files["look"], "report.html": files["page"]}
    assert chosen(document) == row(2, 0.7) and document["verdict"] == verdict
    assert document["differences"] == differences


def test_the_highest_test_figure_is_not_the_chosen_one() -> None:
    document: Any = {"results": [row(None, 0.9), row(2, 0.7)], "best": BEST}
    assert chosen(document) == row(2, 0.7)
    assert chosen(document | {"best": {"switch_epoch": None, "model_digest": "a"}}) == row(None, 0.9)
    del document["best"]  # of an older version, or on a cluster
    assert chosen(document) is None
