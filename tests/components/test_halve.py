"""The end of a rung: who goes on, what is written of it, and what is refused."""

import json
from pathlib import Path

import pytest

from components.halve.step import HalveConfig, Halved, halve
from components.report import search as searching
from switchpoint.errors import RecordsError
from switchpoint.provenance.digests import json_digest
from switchpoint.training import rungs
from tests.components.studies import write_history


def rung(place: Path, number: int, accuracies: dict[tuple[int, float], float], seed: int = 1) -> dict[Path, str]:
    """Histories of a rung, with their digests."""
    found = {}
    for (switch_epoch, rate), accuracy in accuracies.items():
        path = place / f"{number}-{switch_epoch}-{rate}.json"
        write_history(path, switch_epoch, seed, [accuracy] * (2 if number == 1 else 5), rate)
        found[path] = json_digest(json.loads(path.read_text()), "seconds")
    return found


FIRST = {(1, 1e-4): 0.6, (1, 3e-4): 0.7, (2, 1e-4): 0.5, (2, 3e-4): 0.8}
SECOND = {(1, 3e-4): 0.9, (2, 3e-4): 0.8}


def ended(place: Path, number: int, histories: dict[Path, str]) -> Halved:
    earlier = place / "search-1"
    before = (earlier, json_digest(json.loads(earlier.read_text()))) if number > 1 else None
    return halve(histories, before, place / f"search-{number}", HalveConfig(rung=number, epochs=10, seed=1))


def test_two_rungs_leave_a_quarter_and_say_what_became_of_all(tmp_path: Path) -> None:
    first = ended(tmp_path, 1, rung(tmp_path, 1, FIRST))
    assert first.survivors == [
        {"switch_epoch": 1, "learning_rate": 3e-4},
        {"switch_epoch": 2, "learning_rate": 3e-4},
    ]
    second = ended(tmp_path, 2, rung(tmp_path, 2, SECOND))
    assert second.survivors == [{"switch_epoch": 1, "learning_rate": 3e-4}]
    search = rungs.read(tmp_path / "search-2", second.digest)
    assert [(each["rung"], each["until"], len(each["histories"])) for each in search["rungs"]] == [(1, 3, 4), (2, 4, 2)]
    lost = [(each["rung"], each["switch_epoch"], each["learning_rate"]) for each in searching.results(search)]
    assert lost == [(1, 1, 1e-4), (1, 2, 1e-4), (2, 2, 3e-4)]
    assert {each["test_accuracy"] for each in searching.results(search)} == {None}


def test_what_finetune_did_not_write_is_refused(tmp_path: Path) -> None:
    histories = rung(tmp_path, 1, FIRST)
    edited = next(iter(histories))
    edited.write_text(edited.read_text().replace("0.6", "0.99"))
    with pytest.raises(RecordsError, match="is not what finetune wrote"):
        ended(tmp_path, 1, histories)
    assert not (tmp_path / "search-1").exists()


def test_trainings_of_another_seed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="Rung 1 of seed 1 has other trainings"):
        ended(tmp_path, 1, rung(tmp_path, 1, FIRST, seed=2))


def test_what_halve_did_not_write_is_refused(tmp_path: Path) -> None:
    digest = ended(tmp_path, 1, rung(tmp_path, 1, FIRST)).digest
    path = tmp_path / "search-1"
    path.write_text(path.read_text().replace("0.8", "0.7"))
    with pytest.raises(RecordsError, match="is not what halve wrote"):
        rungs.read(path, digest)
    with pytest.raises(RecordsError, match="is not what halve wrote"):
        halve(rung(tmp_path, 2, SECOND), (path, digest), tmp_path / "search-2", HalveConfig(rung=2, epochs=10, seed=1))


def test_a_rung_of_other_candidates_than_the_one_before_left_is_refused(tmp_path: Path) -> None:
    ended(tmp_path, 1, rung(tmp_path, 1, FIRST))
    with pytest.raises(RecordsError, match="Rung 2 has other candidates than rung 1 left"):
        ended(tmp_path, 2, rung(tmp_path, 2, {(7, 1e-4): 0.5}))
