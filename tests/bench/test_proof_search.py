"""The comparison of halving with a sweep, on sweeps that are made up."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.proof import samples, search

PHOTOS = 200


def planted(late: bool) -> Iterator[tuple[tuple[int, float], search.Tried]]:
    """Of candidates that are ahead in the order of start and rate, from the first epoch on, or (`late`) in the last."""
    keys = [search.ALONE, *((start, rate) for start in search.SETTINGS["switch_epochs"] for rate in search.RATES)]
    for place, (start, rate) in enumerate(keys):
        shares = [(100 + 5 * (-place if late and epoch < search.EPOCHS - 1 else place)) / PHOTOS for epoch in range(10)]
        history = search._history(start, rate, 1, [(each, 1 - each) for each in shares], [2.0] * 10, diverged=False)
        right = np.arange(PHOTOS) < shares[-1] * PHOTOS
        yield (start, rate), search.Tried(history, right, right)


def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool) -> list[list[str]]:
    monkeypatch.setattr(search, "SEEDS", (1, 2))
    monkeypatch.setattr(samples, "pool", lambda *_: tmp_path)
    monkeypatch.setattr(samples, "write", lambda draw, whole, directory, kind: directory.mkdir())
    monkeypatch.setattr(search, "_trained", lambda records, seed: planted(late))
    search.run(tmp_path, tmp_path / "search")
    monkeypatch.setattr(search, "_trained", lambda *_: pytest.fail("trains again"))
    said = search.run(tmp_path, tmp_path / "search")  # what was trained is kept
    assert said.count("keeps starts that are") == 6 and said.count("rules by 2 seeds") == 2
    assert late or "rules by 1 seeds lose highest: 0.00, within one: 0.00, the report's: 0.00, last: 0.00" in said
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in said.splitlines() if line[:8] == "| food10"
    ]


def test_where_ranks_never_change_half_of_the_epochs_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 16 candidates 16 · 3 + 8 · 1 + 4 · 6 = 80 of 160 epochs; another seed trains the four left: 120 of 320."""
    one, both, *_ = rows = compared(tmp_path, monkeypatch, late=False)
    assert len(rows) == 8
    assert one[1:] == ["1", "50%", "50%", "1.00; 1.00", "+0.0 [+0.0, +0.0]", "2 of 2", "2 of 2"]
    assert both[1:] == ["2", "38%", "38%", "1.00; 1.00", "+0.0", "2 of 2", "2 of 2"]


def test_what_is_ahead_in_the_last_epoch_alone_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last start is best then, 12 places of 5 in 200 photos ahead of the last of the four that are left."""
    one, _, *_ = compared(tmp_path, monkeypatch, late=True)
    assert one[4] == "-1.00; -1.00" and one[5].startswith("+30.0") and one[6:] == ["0 of 2", "0 of 2"]
