import os

import pytest
import tensorflow as tf

from switchpoint.training.surroundings import threads


# Seen by counting the threads of a process that multiplied matrices; -2 ends it.
@pytest.mark.parametrize(("told", "taken"), [("3", "3"), (" +3 ", "3"), ("0", ""), ("", ""), ("3x", ""), ("2.5", "")])
def test_threads_are_those_that_tensorflow_takes(told: str, taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(7))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", told)
    assert threads() == (taken or "7")
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 5)
    assert threads() == "5"
