"""The checkpoints of transfer learning: the backbone once, since it is frozen, and the head of every epoch.

backbone.keras            the network with its pretrained weights, preprocessing inside
epoch-01.weights.h5 …     the head after each epoch
checkpoints.json          epochs, digests, classes, the backbone's block pattern; written last, so that what lacks it
                          is not whole
"""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING

from switchpoint.errors import CheckpointNotFoundError, DamagedCheckpointError, again
from switchpoint.files import write_json
from switchpoint.training.network import head, variables_digest

if TYPE_CHECKING:
    from pathlib import Path

    import keras

    from switchpoint.documents.training import Checkpoints, Row
    from switchpoint.training.state import Values

MANIFEST = "checkpoints.json"


def head_file(epoch: int) -> str:
    """The file name of an epoch's head; epochs count from 1."""
    return f"epoch-{epoch:02d}.weights.h5"


def write(
    directory: Path,
    backbone: keras.Model,
    head: keras.Model,
    block_pattern: str,
    every: list[Values],
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
        heads[str(epoch)] = variables_digest(head)
    manifest: Checkpoints = {
        "backbone": variables_digest(backbone),
        "heads": heads,
        "block_pattern": block_pattern,
        "classes": classes,
        "dropout": head.get_layer("dropout").rate,
        "history": history,
    }
    write_json(directory / MANIFEST, manifest)
    return digest(directory)


def digest(directory: Path) -> str:
    """What finished checkpoints go by: hex SHA-256 of their manifest, which has a digest of all the rest."""
    read(directory)
    return hashlib.sha256((directory / MANIFEST).read_bytes()).hexdigest()


def read(directory: Path) -> Checkpoints:
    """The manifest of finished checkpoints.

    Raises:
        CheckpointNotFoundError: The directory holds none, or not all.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise CheckpointNotFoundError(
            f"{directory} holds no finished checkpoints ({MANIFEST} is missing). {again('transfer')}"
        )
    manifest: Checkpoints = json.loads(path.read_text())
    return manifest


def load(directory: Path, epoch: int) -> tuple[keras.Model, keras.Model]:
    """The backbone and the head as transfer learning had them after `epoch`.

    Returns:
        Two Keras models, `backbone` and `head`; `network.join` makes one of them.

    Raises:
        CheckpointNotFoundError: No checkpoint was saved for `epoch`.
        DamagedCheckpointError: Its files are not what was saved.
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
            raise DamagedCheckpointError(
                f"{directory}: the {part.name} of epoch {epoch} is not what transfer saved (its digest differs). "
                f"{again('transfer')}"
            )
    return backbone, model
