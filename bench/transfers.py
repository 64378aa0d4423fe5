"""The transfer phase, from records to checkpoints: the lab's way, and ours with and without features kept."""

import io
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from bench.pairs import Measured
from bench.prepared import BATCH, LAB, TRANSFER_SIZE, classes, ours, seconds
from switchpoint.command import parameters
from switchpoint.training.backbones.table import LITE0

EPOCHS = LAB["transfer_epochs"]


def lab_once(directory: Path, repeat: int) -> Measured:
    """Seconds of one transfer phase, and the accuracy after its last epoch."""
    from bench import lab

    out, models = fresh(directory / "lab-once"), list[Any]()
    taken = seconds(lambda: models.append(the_lab(directory, out, EPOCHS, repeat)))
    return Measured(taken, lab.test_accuracy(models[0], directory / "lab", classes(directory), TRANSFER_SIZE))


def lab_sweep(directory: Path, repeat: int) -> Measured:
    """Seconds of a transfer phase for each switch epoch, as the lab's siblings trained."""
    import bench.lab  # noqa: F401 (its import is not in the time)

    out = fresh(directory / "lab-sweep")
    return Measured(seconds(lambda: [the_lab(directory, out, epochs, repeat) for epochs in LAB["switch_epochs"]]))


def ours_once(views: int, directory: Path, repeat: int) -> Measured:
    """Seconds of one transfer phase, which is all that a sweep needs, and the accuracy after its last epoch."""
    import components.transfer.step  # noqa: F401 (its import is not in the time)
    from switchpoint.training import checkpoints, loop, network
    from switchpoint.training.batches import plain_batches

    out = fresh(directory / f"ours-{views}")
    taken = seconds(lambda: switchpoint(directory, out, views, EPOCHS, repeat))
    model = network.join(*checkpoints.load(out / "checkpoints", EPOCHS))
    loop.compile_model(model, learning_rate=0.0, label_smoothing=0.0)
    _, accuracy = model.evaluate(plain_batches(ours(directory, TRANSFER_SIZE), "test", BATCH), verbose=0)
    return Measured(taken, accuracy)


def fresh(directory: Path) -> Path:
    """An empty directory."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return directory


def the_lab(directory: Path, out: Path, epochs: int, seed: int) -> Any:
    """The lab's transfer phase: the model after the last epoch; one an epoch in `out`."""
    from bench import lab

    return lab.transfer(directory / "lab", out, classes(directory), TRANSFER_SIZE, epochs, seed)


def switchpoint(directory: Path, out: Path, views: int, epochs: int, seed: int) -> None:
    """Our transfer step with the lab's parameters, into `out`."""
    from components.transfer.step import Outputs, TransferConfig, transfer

    values = parameters.resolve(
        "lab",
        {
            "backbone": LITE0,
            "switch_epochs": [epochs],
            "transfer_epochs": epochs,
            "image_size": TRANSFER_SIZE,
            "batch_size": BATCH,
            "feature_views": views,
            "seed": seed,
        },
    )
    outputs = Outputs(
        checkpoints=out / "checkpoints",
        model=out / "model.keras",
        history=out / "history.json",
        logs=out / "logs",
        pretrained=out / "pretrained.json",
    )
    with redirect_stdout(io.StringIO()):
        transfer(ours(directory, TRANSFER_SIZE), outputs, parameters.config(TransferConfig, "transfer", values))
