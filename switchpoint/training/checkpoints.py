"""The checkpoints of transfer learning: the backbone once, since it is frozen, and the head of every epoch.

backbone.keras            the network with its pretrained weights, preprocessing inside
epoch-01.weights.h5 …     the head after each epoch
checkpoints.json          epochs, digests, classes, the backbone's block pattern; written last, so that what lacks it
                          is not whole
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from switchpoint.errors import CheckpointNotFoundError
from switchpoint.training.loop import Row, Weights, head

MANIFEST = "checkpoints.json"


def head_file(epoch: int) -> str:
    """The file name of an epoch's head; epochs count from 1."""
    return f"epoch-{epoch:02d}.weights.h5"


def variables_digest(model: Any) -> str:
    """Hex SHA-256 over a Keras model's weights by name and value; two equal trainings give the same."""
    digest = hashlib.sha256()
    for variable in model.weights:
        value = variable.numpy()
        digest.update(f"{variable.path}\0{value.dtype}\0{value.shape}\0".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def write(
    directory: Path,
    backbone: Any,
    head: Any,
    block_pattern: str,
    every: list[Weights],
    history: list[Row],
    classes: list[str],
) -> str:
    """Write the checkpoints of a whole transfer phase.

    Args:
        directory: Replaced, if it is there.
        backbone: Frozen, as it was in every epoch.
        head: The model whose weights `every` holds; it is left with the last ones.
        block_pattern: The backbone's, which fine-tuning needs to tell its blocks apart.
        every: The head's weights after each epoch.
        history: An entry an epoch.
        classes: Their names, in the order of the labels.

    Returns:
        The checkpoints' digest, which is the manifest's.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    backbone.save(directory / "backbone.keras")
    heads = {}
    for epoch, weights in enumerate(every, start=1):
        for variable, value in zip(head.trainable_variables, weights, strict=True):
            variable.assign(value)
        head.save_weights(directory / head_file(epoch))
        heads[epoch] = variables_digest(head)
    manifest = {
        "backbone": variables_digest(backbone),
        "heads": heads,
        "block_pattern": block_pattern,
        "classes": classes,
        "dropout": head.get_layer("dropout").rate,
        "history": history,
    }
    temporary = directory / f"{MANIFEST}.part"
    temporary.write_text(json.dumps(manifest, indent=1))
    temporary.replace(directory / MANIFEST)
    return digest(directory)


def digest(directory: Path) -> str:
    """What finished checkpoints go by: hex SHA-256 of their manifest, which has a digest of all the rest."""
    read(directory)
    return hashlib.sha256((directory / MANIFEST).read_bytes()).hexdigest()


def read(directory: Path) -> dict[str, Any]:
    """The manifest of finished checkpoints.

    Raises:
        CheckpointNotFoundError: The directory holds none, or not all.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise CheckpointNotFoundError(
            f"{directory} holds no finished checkpoints ({MANIFEST} is missing). Run transfer."
        )
    manifest: dict[str, Any] = json.loads(path.read_text())
    return manifest


def load(directory: Path, epoch: int) -> tuple[Any, Any]:
    """The backbone and the head as transfer learning had them after `epoch`.

    Returns:
        Two Keras models, `backbone` and `head`; `switchpoint.training.loop.join` makes one of them.

    Raises:
        CheckpointNotFoundError: No checkpoint was saved for `epoch`, or its files are not what was saved.
    """
    import keras

    manifest = read(directory)
    saved = sorted(int(number) for number in manifest["heads"])
    if epoch not in saved:
        raise CheckpointNotFoundError(
            f"No checkpoint for epoch {epoch} in {directory}. Saved epochs: {saved}. Pass one of them as switch_epoch."
        )
    backbone = keras.models.load_model(directory / "backbone.keras", compile=False)
    model = head(backbone, len(manifest["classes"]), manifest["dropout"])
    model.load_weights(directory / head_file(epoch))
    for part, expected in ((backbone, manifest["backbone"]), (model, manifest["heads"][str(epoch)])):
        if variables_digest(part) != expected:
            raise CheckpointNotFoundError(
                f"{directory}: the {part.name} of epoch {epoch} is not what transfer saved (its digest differs). "
                "Run transfer again."
            )
    return backbone, model
