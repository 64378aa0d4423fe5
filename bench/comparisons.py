"""What is measured: for each name a baseline and our way, as functions that run in processes of their own."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from bench import bare, inputs, rerun, sizes, transfers
from bench.pairs import Comparison, Measured
from bench.prepared import seconds
from switchpoint.provenance.digests import ROOT


def at_most(limit: float, directory: Path, repeat: int) -> Measured:
    """The baseline of what is compared with a limit instead of the lab."""
    return Measured(limit)


def command(argument: str, directory: Path, repeat: int) -> Measured:
    line = [sys.executable, "-m", "switchpoint.command", argument]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return Measured(
        seconds(lambda: subprocess.run(line, cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL))
    )


def comparisons() -> list[Comparison]:
    return [
        Comparison(
            "seconds",
            5,
            transfers.lab_once,
            {f"transfer_views_{views}": partial(transfers.ours_once, views) for views in (4, 1, 0)},
        ),
        Comparison(
            "seconds",
            3,
            transfers.lab_sweep,
            {
                "sweep_transfer": partial(transfers.ours_once, 0),
                "sweep_transfer_views_4": partial(transfers.ours_once, 4),
            },
        ),
        Comparison("images/s", 5, inputs.decode_lab, {"decode": inputs.decode_ours}),
        Comparison("images/s", 5, inputs.input_lab, {"input_pipeline": inputs.input_ours}),
        Comparison("bytes", 1, sizes.photo_bytes, {"record_bytes": sizes.record_bytes}),
        Comparison("images/s", 5, bare.finetune_bare, {"finetune_step": bare.finetune_ours}),
        Comparison("images/s", 5, bare.evaluate_bare, {"evaluate": bare.evaluate_ours}),
        Comparison("seconds", 5, partial(inputs.prepared, 1), {"prepare_workers": partial(inputs.prepared, 2)}),
        Comparison("bytes", 1, sizes.lab_checkpoint, {"checkpoint_bytes": sizes.our_checkpoint}),
        Comparison("seconds", 3, partial(at_most, 2.0), {"rerun_overhead_seconds": rerun.overhead}),
        *(
            Comparison(
                "seconds", 5, partial(at_most, limit), {f"startup_{argument.strip('-')}": partial(command, argument)}
            )
            for argument, limit in (("--help", 0.3), ("plan", 2.0), ("compile", 2.0))
        ),
    ]
