"""What a run's document says of its results and its photos."""

import json
from pathlib import Path
from typing import Any

from switchpoint.command.runs.results import chosen, fill_in

BEST = {"switch_epoch": 2, "seed": 2, "model_digest": "b"}


def row(switch_epoch: int | None, test_accuracy: float, digest: str) -> dict[str, Any]:
    return {"switch_epoch": switch_epoch, "test_accuracy": test_accuracy, "model_digest": digest}


ALONE, FIRST, SECOND = row(None, 0.9, "a"), row(2, 0.8, "c"), row(2, 0.7, "b")  # from epoch 2 with two seeds


def test_a_run_tells_what_was_found_about_its_photos_and_what_was_chosen(tmp_path: Path) -> None:
    duplicates = [{"kind": "across splits", "photos": ["a/1.jpg", "a/2.jpg"]}]
    manifest = {
        "left_out": [{"photo": "a/3.jpg", "reason": "empty"}],
        "duplicates": duplicates,
        "dropped": [],
        "notes": ["1 files lie"],
    }
    verdict = {"kind": "no gain shown", "starts": [None, 2], "recommended": 2}
    differences = [{"start": 2, "against": None, "points": -20.0, "low": -30.0, "high": -10.0}]
    results = {"results": [ALONE, FIRST, SECOND], "starts": [ALONE, FIRST], "best": BEST, "conclusion": "…"}
    results |= {"verdict": verdict, "differences": differences, "leaked": None, "search": None}
    files = {"look": "<html>look", "page": "<html>page", "results": json.dumps(results)}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "manifest.json").write_text(json.dumps(manifest))
    outputs = {name: str(tmp_path / name) for name in (*files, "records", "model")}
    document: Any = {"steps": [{"name": name, "outputs": outputs} for name in ("prepare", "report")]}
    fill_in(document, tmp_path / "run" / "report.html")
    assert {key: document[key] for key in manifest} == manifest
    found = {path.name: path.read_text() for path in (tmp_path / "run").iterdir()}
    assert found == {"look.html": files["look"], "report.html": files["page"]}
    assert chosen(document) == SECOND and document["verdict"] == verdict
    assert (document["starts"], document["differences"]) == ([ALONE, FIRST], differences)


def test_the_highest_test_figure_is_not_the_chosen_one() -> None:
    document: Any = {"results": [ALONE, FIRST, SECOND], "best": BEST}
    assert chosen(document) == SECOND
    assert chosen(document | {"best": {"switch_epoch": None, "model_digest": "a"}}) == ALONE
    del document["best"]  # of an older version, or on a cluster
    assert chosen(document) is None
