"""The checkpoints of transfer learning: the backbone once, since it is frozen, and the head of every epoch.

backbone.keras            the network with its pretrained weights, preprocessing inside
epoch-01.weights.h5 …     the head after each epoch
checkpoints.json          epochs, digests, classes; written last, so that what lacks it is not whole
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from switchpoint.errors import CheckpointNotFoundError

MANIFEST = "checkpoints.json"


def head_file(epoch: int) -> str:
    """The file name of an epoch's head; epochs count from 1."""
    return f"epoch-{epoch:02d}.weights.h5"


def weights_digest(model: Any) -> str:
    """Hex SHA-256 over a Keras model's weights by name and value; two equal trainings give the same."""
    digest = hashlib.sha256()
    for variable in model.weights:
        value = variable.numpy()
        digest.update(f"{variable.path}\0{value.dtype}\0{value.shape}\0".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def finish(directory: Path, manifest: dict[str, Any]) -> str:
    """Write the manifest and return its digest, which stands for the checkpoints'."""
    text = json.dumps(manifest, indent=1)
    (directory / MANIFEST).write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


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
        Two Keras models, `backbone` and `head`; `switchpoint.training.join` makes one of them.

    Raises:
        CheckpointNotFoundError: No checkpoint was saved for `epoch`, or its files are not what was saved.
    """
    import keras

    from switchpoint.training import head

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
        if weights_digest(part) != expected:
            raise CheckpointNotFoundError(
                f"{directory}: the {part.name} of epoch {epoch} is not what transfer saved (its digest differs). "
                "Run transfer again."
            )
    return backbone, model
