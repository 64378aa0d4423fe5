"""What is measured: for each name a baseline and our way, as functions that run in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import bare, inputs, rerun, sizes, transfers
from bench.pairs import Comparison, Measured, Way
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


def _views(name: str, way: Callable[[int, Path, int], Measured]) -> dict[str, Way]:
    """A way of ours with a new view in every epoch, and with the default's four."""
    return {name: partial(way, 0), f"{name}_views_4": partial(way, 4)}


def comparisons() -> list[Comparison]:
    return [
        Comparison(
            "seconds",
            5,
            transfers.lab_once,
            {f"transfer_views_{views}": partial(transfers.ours_once, views) for views in (4, 1, 0)}
            | {"transfer_views_4_with_prepare": partial(transfers.ours_with_prepare, 4)}
            # What a sweep needs of transfer learning, where the lab's code trains it once, too, and saves each epoch.
            | _views("sweep_transfer_once", transfers.ours_once),
        ),
        # Against a transfer phase for each switch epoch, as the lab's siblings trained.
        Comparison("seconds", 3, transfers.lab_sweep, _views("sweep_transfer", transfers.ours_once)),
        # Once, and with what a sweep is for: fine-tuning from each switch epoch, which both ways do.
        Comparison("seconds", 3, transfers.lab_whole_sweep, _views("whole_sweep", transfers.ours_whole_sweep)),
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
