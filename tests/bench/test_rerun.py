from bench.rerun import running
from switchpoint.command.documents import Step


def step(start: str, end: str, state: str = "ran") -> Step:
    started, ended = (f"2026-11-24T10:00:{second}+00:00" for second in (start, end))
    return {
        "name": "transfer", "seed": 1, "switch_epoch": None, "learning_rate": None, "state": state, "seconds": None,
        "started": started, "ended": ended,
    }  # fmt: skip


def test_time_in_which_two_steps_run_counts_once_and_cached_ones_do_not() -> None:
    steps = [step("10.000", "14.500"), step("01.000", "05.000"), step("03.000", "04.000"), step("12.000", "16.000")]
    assert running([*steps, step("05.000", "09.000", "cached")]) == 4 + 6


def test_a_run_that_is_all_cached_runs_nothing() -> None:
    assert running([step("01.000", "02.000", "cached")]) == 0
