"""What tests of several folders share."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest


def unavailable(reason: str) -> None:
    """Skip a test whose part is missing on this machine; in CI nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"In CI this may not be skipped: {reason}")
    pytest.skip(reason)


QUICK = False  # set by `--quick`


def starts_steps() -> None:
    """Called before steps run in processes of their own, where nothing sees that they import TensorFlow."""
    if QUICK:
        pytest.skip("starts steps")


def starts_a_server() -> None:
    """Skip what is not for before each commit: it asks a server of buckets, and waits for it."""
    if QUICK:
        pytest.skip("starts a server of buckets")


def output(*command: str | Path) -> str:
    """What a command prints, when it succeeds."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tasks_of(spec: dict[str, Any]) -> dict[str, Any]:
    """All tasks of a compiled pipeline, those in its loops too; none has the name of another."""
    dags = [each["dag"] for each in (spec["root"], *spec["components"].values()) if "dag" in each]
    return {name: task for dag in dags for name, task in dag["tasks"].items()}
