"""The transfer phase, from records to checkpoints, and whole sweeps: the lab's way, and ours with and without views."""

import io
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from bench.pairs import Measured
from bench.prepared import BATCH, LAB, TRANSFER_SIZE, classes, ours, prepare_records, seconds
from switchpoint.command import parameters
from switchpoint.training.backbones.table import LITE0

EPOCHS = LAB["transfer_epochs"]
FINETUNE_EPOCHS = 2  # from each start, of whole sweeps: the lab's 10 would take an hour, and both ways pay for them


def lab_once(directory: Path, repeat: int) -> Measured:
    """Seconds of one transfer phase, and the accuracy after its last epoch."""
    from bench import lab

    out, models = fresh(directory / "lab-once"), list[Any]()
    taken = seconds(lambda: models.append(the_lab(directory, out, EPOCHS, repeat)))
    return Measured(taken, lab.test_accuracy(models[0], directory / "lab", classes(directory), TRANSFER_SIZE))


def lab_sweep(directory: Path, repeat: int) -> Measured:
    """Seconds of a transfer phase for each switch epoch, as the lab's siblings trained: its code need not."""
    import bench.lab  # noqa: F401 (its import is not in the time)

    out = fresh(directory / "lab-sweep")
    return Measured(seconds(lambda: [the_lab(directory, out, epochs, repeat) for epochs in LAB["switch_epochs"]]))


def lab_whole_sweep(directory: Path, repeat: int) -> Measured:
    """Seconds of one transfer phase, which saves a model an epoch, and of fine-tuning from each switch epoch's."""
    from bench import lab

    out = fresh(directory / "lab-whole-sweep")

    def sweep() -> None:
        the_lab(directory, out, EPOCHS, repeat)
        for epoch in LAB["switch_epochs"]:
            start, count = lab.checkpoint(out, epoch), classes(directory)
            lab.finetune(start, directory / "lab", out, count, TRANSFER_SIZE, FINETUNE_EPOCHS, repeat + epoch)

    return Measured(seconds(sweep))


def ours_once(views: int, directory: Path, repeat: int) -> Measured:
    """Seconds of one transfer phase, which is all that a sweep needs, and the accuracy after its last epoch."""
    out, records = fresh(directory / f"ours-{views}"), ours(directory, TRANSFER_SIZE)
    return _timed(lambda: switchpoint(records, out, views, EPOCHS, repeat), records, out)


def ours_with_prepare(views: int, directory: Path, repeat: int) -> Measured:
    """The same, and before it prepare, from photos to records, which only we need.

    The lab's way has its records given: to write them is not in its time.
    """
    out = fresh(directory / f"ours-with-prepare-{views}")
    records = out / "records"

    def phase() -> None:
        with redirect_stdout(io.StringIO()):
            prepare_records(directory / "photos", records, image_size=TRANSFER_SIZE, seed=1)
        switchpoint(records, out, views, EPOCHS, repeat)

    return _timed(phase, records, out)


def _timed(phase: Callable[[], None], records: Path, out: Path) -> Measured:
    """Seconds of a transfer phase into `out`, and the accuracy after its last epoch."""
    import components.prepare.step
    import components.transfer.step  # noqa: F401 (their import is not in the time)
    from switchpoint.training import checkpoints, loop, network
    from switchpoint.training.batches import plain_batches

    taken = seconds(phase)
    model = network.join(*checkpoints.load(out / "checkpoints", EPOCHS))
    loop.compile_model(model, learning_rate=0.0, label_smoothing=0.0)
    _, accuracy = model.evaluate(plain_batches(records, "test", BATCH), verbose=0)
    return Measured(taken, accuracy)


def ours_whole_sweep(views: int, directory: Path, repeat: int) -> Measured:
    """Seconds of one transfer phase and of fine-tuning from each switch epoch."""
    import components.finetune.step
    import components.transfer.step  # noqa: F401 (their import is not in the time)

    out, records = fresh(directory / f"ours-whole-sweep-{views}"), ours(directory, TRANSFER_SIZE)

    def sweep() -> None:
        switchpoint(records, out, views, EPOCHS, repeat)
        for epoch in LAB["switch_epochs"]:
            our_finetuning(records, out, epoch, repeat)

    return Measured(seconds(sweep))


def fresh(directory: Path) -> Path:
    """An empty directory."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return directory


def the_lab(directory: Path, out: Path, epochs: int, seed: int) -> Any:
    """The lab's transfer phase: the model after the last epoch; one an epoch in `out`."""
    from bench import lab

    return lab.transfer(directory / "lab", out, classes(directory), TRANSFER_SIZE, epochs, seed)


def switchpoint(records: Path, out: Path, views: int, epochs: int, seed: int) -> None:
    """Our transfer step with the lab's parameters, into `out`."""
    from components.transfer.step import Outputs, TransferConfig, transfer

    values = our_parameters(seed, transfer_epochs=epochs, switch_epochs=[epochs], feature_views=views)
    outputs = Outputs(
        checkpoints=out / "checkpoints",
        model=out / "model.keras",
        history=out / "history.json",
        logs=out / "logs",
        pretrained=out / "pretrained.json",
        reference=out / "reference.npz",
    )
    with redirect_stdout(io.StringIO()):
        transfer(records, outputs, parameters.config(TransferConfig, "transfer", values))


def our_finetuning(records: Path, out: Path, epoch: int, seed: int) -> None:
    """Our finetune step with the lab's parameters, from a checkpoint in `out`."""
    from components.finetune.step import FinetuneConfig, Outputs, finetune

    values = parameters.candidate(our_parameters(seed, finetune_epochs=FINETUNE_EPOCHS), epoch)
    outputs = Outputs(*(out / f"from-{epoch}{ending}" for ending in (".keras", ".json", "-logs")))
    with redirect_stdout(io.StringIO()):
        finetune(records, out / "checkpoints", outputs, parameters.config(FinetuneConfig, "finetune", values))


def our_parameters(seed: int, **changes: Any) -> dict[str, Any]:
    """The lab's, at the size and with the network that all ways here have."""
    fixed = {"backbone": LITE0, "image_size": TRANSFER_SIZE, "batch_size": BATCH, "seed": seed}
    return parameters.resolve("lab", fixed | changes)
