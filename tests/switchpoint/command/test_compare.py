"""Runs beside one another: what is claimed of them, and what is not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from components.report.step import read, right
from switchpoint.command.cli.main import main
from switchpoint.command.compare import page, study, words
from switchpoint.command.compare.study import Side, compare
from switchpoint.command.runs import store
from tests.components import studies

PARAMETERS = {"backbone": "lite0", "seeds": [1], "switch_epochs": [2, 4], "image_size": 64}


class Sides:
    """Runs with trainings written by hand."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.monkeypatch = place, monkeypatch

    def add(
        self, name: str, test: float, seeds: tuple[int, ...] = (1,), models: str = "", recommended: int | None = 4,
        records: dict[str, Any] | None = None, rate: float = studies.RATE, leaked: Sequence[int] = (),
        **parameters: Any,
    ) -> Side:  # fmt: skip
        """A run whose fine-tuned models are right on `test` of the photos; `models` tells them from others'."""
        digests = studies.digest_of
        with self.monkeypatch.context() as patched:
            patched.setattr(studies, "digest_of", lambda *start, **more: f"{models or name} {digests(*start, **more)}")
            place = self.place / name
            place.mkdir()
            written = studies.Study(place)
            for seed in seeds:
                for switch_epoch, share in ((0, 0.6), (2, test), (4, test)):
                    written.add(switch_epoch, [0.5, 0.6], share + 0.002 * seed, seed, rate)
            starts = read(written.collect())
        document: Any = store.create(self.place, PARAMETERS | {"seeds": list(seeds)} | parameters, "subprocess")
        document |= {"name": name, "state": "succeeded", "verdict": {"recommended": recommended}}
        document["steps"] = [{"name": "transfer", "image": f"switchpoint-python-transfer:cpu-{name}"}]
        manifest: Any = {
            "classes": studies.CLASSES, "source": {"digest": "d"}, "seed": 7, "left_out": [],
            "splits": {"test": {"photos": 300, "shards": [{"sha256": "s"}]}},
        }  # fmt: skip
        return Side(document, starts, manifest | (records or {}), leaked)


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sides:
    return Sides(tmp_path, monkeypatch)


def test_a_difference_on_the_same_photos_is_told_with_its_interval(sides: Sides) -> None:
    compared = compare([sides.add("low", 0.6), sides.add("high", 0.8, image_size=128, recommended=2)])
    (recommended,) = (each for each in compared["differences"] if each["start"] == "recommended")
    assert recommended["low"] > 5 and recommended["points"] == pytest.approx(20, abs=3)
    assert words.sentence(compared).startswith("“high” is ahead of “low”: +")
    assert words.sentence(compared).endswith("On the same 300 test photos, under seed 1: other seeds may move it.")
    assert compared["parameters"] == {"image_size": [64, 128], "code of transfer": ["low", "high"]}
    assert {each["start"] for each in compared["differences"]} == {"recommended", None, 2, 4}
    assert words.results(compared)[2][0] == "from epoch 4" and words.results(compared)[2][1].startswith("* ")


def test_rates_are_told_where_they_differ(sides: Sides) -> None:
    one, other = sides.add("one", 0.6), sides.add("other", 0.7, rate=0.001)
    alone, from_2, _ = words.results(compare([one, other]))[:3]
    assert from_2[2].endswith(" at 0.001") and " at " not in alone[2]
    assert " at " not in words.results(compare([one, sides.add("alike", 0.7)]))[1][2]


def test_a_small_difference_is_not_told_apart(sides: Sides) -> None:
    compared = compare([sides.add("one", 0.7), sides.add("other", 0.705)])
    assert words.sentence(compared).startswith("“other” and “one” are not told apart: ")
    assert {each["start"] for each in compared["differences"]} == {"recommended", None, 2}, "4 is what both recommend"


def test_of_other_photos_nothing_is_claimed(sides: Sides) -> None:
    other = {"source": {"digest": "e"}, "splits": {"test": {"photos": 300, "shards": [{"sha256": "t"}]}}}
    compared = compare([sides.add("low", 0.5), sides.add("high", 0.9, records=other)])
    assert not compared["paired"] and compared["differences"] == []
    assert words.sentence(compared).startswith("high was tested on other photos than low")
    assert compared["starts"][1]["test_accuracy"] == [pytest.approx(0.5, abs=0.05), pytest.approx(0.9, abs=0.05)]


def test_test_photos_that_a_run_has_learnt_by_heart_win_nothing(sides: Sides) -> None:
    low, high = sides.add("low", 0.6), sides.add("high", 0.8)
    (one,), (other,) = ([right(start.trainings[0].evaluation) for start in side.starts[2:]] for side in (low, high))
    gained = np.flatnonzero(other & ~one).tolist()
    flattered = sides.add("flattered", 0.8, models="high", leaked=gained)
    compared = compare([low, flattered])
    (apart,) = (each for each in compared["differences"] if each["start"] == "recommended")
    assert compared["leaked"] == len(gained) and apart["points"] <= 0
    said = f"On the same {300 - len(gained)} test photos, without {len(gained)} that a run has in training or valid"
    assert "ahead" not in words.sentence(compared) and said in words.sentence(compared)
    assert [f"300, {len(gained)} leaked" in row for row in words.results(compared)].count(True) == 1
    assert compare([flattered, low])["leaked"] == len(gained), "whichever of them has it"
    every = compare([low, sides.add("all", 0.8, leaked=range(300))])
    assert not every["paired"] and words.sentence(every).startswith("Every test photo is in training or validation")


@pytest.mark.parametrize("records", [
    {"source": {"digest": "moved"}},  # records of the same bytes
    {"splits": {"test": {"photos": 300, "shards": [{"sha256": "larger"}]}}},  # the same photos at another size
])  # fmt: skip
def test_the_same_photos_are_known_by_their_bytes_or_their_draw(sides: Sides, records: dict[str, Any]) -> None:
    assert compare([sides.add("one", 0.6), sides.add("other", 0.8, records=records)])["paired"]


def test_models_that_both_have_are_the_same_and_no_difference(sides: Sides) -> None:
    compared = compare([sides.add("one", 0.6), sides.add("again", 0.6, models="one")])
    assert compared["differences"] == [] and "“again” recommends the same models as “one”." in words.sentence(compared)


def test_seeds_that_all_have_are_compared(sides: Sides) -> None:
    compared = compare([sides.add("one", 0.6, seeds=(1, 2, 3)), sides.add("other", 0.8, seeds=(2, 3, 4))])
    assert compared["seeds"] == [2, 3]
    assert words.sentence(compared).endswith("under 2 seeds, those that all have.")
    apart = compare([sides.add("two", 0.6, seeds=(1,)), sides.add("three", 0.8, seeds=(2,))])
    assert apart["differences"] == [] and words.sentence(apart).startswith("The runs have no seed in common")


def test_more_comparisons_make_wider_intervals(sides: Sides) -> None:
    one, other = sides.add("one", 0.6), sides.add("other", 0.7)

    def width(first: Side, second: Side) -> float:
        found = compare([first, second])["differences"][0]
        return found["high"] - found["low"]

    few = [Side(side.document, [side.starts[-1]], side.records) for side in (one, other)]
    assert width(one, other) > 1.1 * width(*few)


def test_the_page_holds_names_as_text(sides: Sides) -> None:
    text = page.html(compare([sides.add("low", 0.6), sides.add("a<b", 0.8)]))
    assert "a&lt;b" in text and "a<b" not in text and text.count("<svg") > 1


def test_the_command_writes_what_it_says(sides: Sides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [sides.add("low", 0.6), sides.add("high", 0.8)]
    both[0].document["name"] = "low [old]"
    for side in both:
        store.write(tmp_path, side.document)
    monkeypatch.setattr(study, "open_run", lambda document: next(
        side for side in both if side.document["id"] == document["id"]
    ))  # fmt: skip
    ids = [side.document["id"] for side in both]
    flags = ("--runs-dir", str(tmp_path))
    said = CliRunner().invoke(main, ["compare", *ids, "--html", str(tmp_path / "page.html"), *flags])
    assert said.exit_code == 0 and "“high” is ahead of “low [old]”" in said.output, said.output
    assert said.output.count("[old]") == 5, "the heads of tables take names for no markup"
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    document = json.loads(CliRunner().invoke(main, ["compare", *ids, "--json", *flags]).output)
    assert [run["id"] for run in document["runs"]] == ids
    assert CliRunner().invoke(main, ["compare", ids[0], *flags]).exit_code == 2
    assert "given twice" in CliRunner().invoke(main, ["compare", ids[0], ids[0], *flags]).output


def test_a_run_that_did_not_succeed_is_refused(tmp_path: Path) -> None:
    ids = []
    for _ in range(2):
        document: Any = store.create(tmp_path, PARAMETERS, "subprocess") | {"state": "failed"}
        store.write(tmp_path, document)
        ids.append(document["id"])
    done = CliRunner().invoke(main, ["compare", *ids, "--runs-dir", str(tmp_path)])
    assert done.exit_code == 1 and "only runs that succeeded can be compared" in done.output
