"""The transfer phase, from records to checkpoints: the lab's way, and ours with and without features kept."""

import io
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from bench.pairs import Measured
from bench.prepared import BATCH, TRANSFER_SIZE, classes, ours, seconds
from switchpoint.command.recipes import RECIPES

LAB = RECIPES["lab"]
EPOCHS = LAB["transfer_epochs"]


def lab_once(place: Path, repeat: int) -> Measured:
    """Seconds of one transfer phase, and the accuracy after its last epoch."""
    from bench import lab

    out, models = fresh(place / "lab-once"), list[Any]()
    taken = seconds(lambda: models.append(the_lab(place, out, EPOCHS, repeat)))
    return Measured(taken, lab.test_accuracy(models[0], place / "lab", classes(place), TRANSFER_SIZE))


def lab_sweep(place: Path, repeat: int) -> Measured:
    """Seconds of a transfer phase for each switch epoch, as the lab's siblings trained."""
    import bench.lab  # noqa: F401 (its import is not in the time)

    out = fresh(place / "lab-sweep")
    return Measured(seconds(lambda: [the_lab(place, out, epochs, repeat) for epochs in LAB["switch_epochs"]]))


def ours_once(views: int, place: Path, repeat: int) -> Measured:
    """Seconds of one transfer phase, which is all that a sweep needs, and the accuracy after its last epoch."""
    import components.transfer.step  # noqa: F401 (its import is not in the time)
    from switchpoint.training import checkpoints
    from switchpoint.training import loop as training
    from switchpoint.training.batches import plain_batches

    out = fresh(place / f"ours-{views}")
    taken = seconds(lambda: switchpoint(place, out, views, EPOCHS, repeat))
    model = training.join(*checkpoints.load(out / "checkpoints", EPOCHS))
    training.compile_model(model, 0.0, 0.0)
    _, accuracy = model.evaluate(plain_batches(ours(place, TRANSFER_SIZE), "test", BATCH), verbose=0)
    return Measured(taken, accuracy)


def fresh(directory: Path) -> Path:
    """An empty directory."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return directory


def the_lab(place: Path, out: Path, epochs: int, seed: int) -> Any:
    """The lab's transfer phase: the model after the last epoch; one an epoch in `out`."""
    from bench import lab

    return lab.transfer(place / "lab", out, classes(place), TRANSFER_SIZE, epochs, seed)


def switchpoint(place: Path, out: Path, views: int, epochs: int, seed: int) -> None:
    """Our transfer step with the lab's parameters, into `out`."""
    from components.transfer.step import TransferConfig, transfer

    config = TransferConfig(
        backbone="efficientnet_lite0",
        weights="imagenet",
        epochs=epochs,
        image_size=TRANSFER_SIZE,
        batch_size=BATCH,
        learning_rate=LAB["transfer_learning_rate"],
        first_decay_steps=LAB["first_decay_steps"],
        t_mul=LAB["t_mul"],
        m_mul=LAB["m_mul"],
        rotation=LAB["rotation"],
        dropout=0.2,
        label_smoothing=LAB["label_smoothing"],
        mixed_precision=LAB["mixed_precision"],
        feature_views=views,
        seed=seed,
    )
    with redirect_stdout(io.StringIO()):
        transfer(
            photos=ours(place, TRANSFER_SIZE),
            checkpoint_directory=out / "checkpoints",
            model_file=out / "model.keras",
            history_file=out / "history.json",
            logs=out / "logs",
            pretrained_file=out / "pretrained.json",
            config=config,
        )
