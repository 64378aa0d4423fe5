"""The transfer phase, from records to checkpoints: the lab's way, and ours with and without features kept."""

import io
import shutil
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from bench.pairs import Measured
from switchpoint.recipes import RECIPES

# What the network sees, in pixels: at the lab's 224 the bench would not end within 40 minutes on 2 cores.
TRAINING_SIZE = 128
LAB = RECIPES["lab"]


def transfer_lab(place: Path, repeat: int) -> Measured:
    """One transfer phase; the accuracy is that of the last epoch."""
    from bench import lab

    out = place / "transfer-lab"
    model, taken = timed(out, lambda: _lab(place, out, LAB["transfer_epochs"], repeat))
    return Measured(taken, lab.test_accuracy(model, place / "lab", _classes(place), TRAINING_SIZE))


def sweep_lab(place: Path, repeat: int) -> Measured:
    """A transfer phase for each switch epoch, as the lab's siblings trained."""
    import bench.lab  # noqa: F401 (not in the time)

    out = place / "sweep-lab"
    _, taken = timed(out, lambda: [_lab(place, out, epochs, repeat) for epochs in LAB["switch_epochs"]])
    return Measured(taken)


def _lab(place: Path, out: Path, epochs: int, seed: int) -> Any:
    from bench import lab

    return lab.transfer(place / "lab", out, _classes(place), TRAINING_SIZE, epochs, seed)


def transfer_ours(views: int, place: Path, repeat: int) -> Measured:
    """One transfer phase, which is all that a sweep needs; the accuracy is that of the last epoch."""
    from components.transfer.step import TransferConfig, transfer
    from switchpoint import checkpoints, training
    from switchpoint.batches import plain_batches

    names = set(TransferConfig.__dataclass_fields__) & set(LAB)
    config = TransferConfig(
        **{name: LAB[name] for name in names} | {"image_size": TRAINING_SIZE, "feature_views": views},
        backbone="efficientnet_lite0",
        weights="imagenet",
        epochs=LAB["transfer_epochs"],
        learning_rate=LAB["transfer_learning_rate"],
        dropout=0.2,
        seed=repeat,
    )
    records, out = place / f"records-{TRAINING_SIZE}", place / f"transfer-{views}"
    paths = [out / name for name in ("checkpoints", "model.keras", "history.json", "logs", "weights.json")]
    with redirect_stdout(io.StringIO()):
        _, taken = timed(out, lambda: transfer(records, *paths, config))
    model = training.join(*checkpoints.load(out / "checkpoints", config.epochs))
    training.compile_model(model, 0.0, 0.0)
    return Measured(taken, model.evaluate(plain_batches(records, "test", config.batch_size), verbose=0)[1])


def timed(out: Path, function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function gives that writes into `out`, an empty directory, and the seconds it took."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def _classes(place: Path) -> int:
    from switchpoint.records import read_manifest

    return len(read_manifest(place / f"records-{TRAINING_SIZE}")["classes"])
