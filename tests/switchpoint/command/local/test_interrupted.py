"""What a second Ctrl-C leaves behind: kfp's threads, which end later, and say nothing and start nothing."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from switchpoint.provenance.digests import ROOT

# Fine-tunings that take two seconds to end, and no TensorFlow.
PROGRAM = """
import os, sys, time
from pathlib import Path
from switchpoint.command import kfp_alone
kfp_alone.load()
from switchpoint.command.local.orchestrator import orchestrate, started_by
from switchpoint.command.local.plan import _Planner
from switchpoint.command.parameters import resolve

class Slow(_Planner):
    def execute(self, task):
        return task.run() if task.step["name"] == "finetune" else super().execute(task)

    def process(self, step, command, variables):
        os.write(1, b"began\\n")
        time.sleep(2)
        return 1

runs, slow = Path(sys.argv[1]), Slow([], {})
try:
    with started_by(slow, runs, "run"):
        orchestrate(resolve("demo", {}), runs, runs, "subprocess", slow, writes=False)
except KeyboardInterrupt:
    print("Interrupted.", flush=True)
"""


def test_nothing_is_said_after_it_and_no_step_starts_unseen(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    for _ in range(2):  # kfp runs two rounds of a loop at once
        assert process.stdout.readline() == "began\n"
    process.send_signal(signal.SIGINT)
    time.sleep(0.4)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert (said.replace("began\n", ""), errors) == ("Interrupted.\n", "")
