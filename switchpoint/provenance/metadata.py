"""What an artifact knows of where it came from: it travels in the artifact's metadata (docs/adr/0002)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

from switchpoint import addresses
from switchpoint.errors import LineageError
from switchpoint.provenance.digests import DIGEST, code_digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from switchpoint.documents.evaluation import Evaluation
    from switchpoint.documents.lineage import Entry, Lineage
    from switchpoint.documents.records import Manifest

# KFP's output paths have no suffix, and Keras wants one: a model is a directory with this file in it.
MODEL = "model.keras"
MEMBER = "switchpoint.json"  # of a .keras file, which is a ZIP archive
CONFIG = "config.json"  # Keras' member for the architecture
FORMAT = 1
_ADDRESSES = ("dataset", "weights")
_DIGESTS = ("dataset_digest", "weights_digest")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a ZIP archive knows


def describe(
    display_name: str, step: str, config: Any, inputs: Mapping[str, str], digest: str | None = None
) -> dict[str, str]:
    """An output's metadata: step, code digest, parameters, digests of its inputs, and its own.

    All values are text: the Kubeflow UI shows them so, None is not allowed there, and numbers come back as floats.
    Nothing in it changes between equal runs, since metadata of inputs is part of the cache key.

    Args:
        display_name: What the Kubeflow UI calls it.
        step: The step that made it.
        config: The step's parameters, a dataclass or a mapping.
        inputs: For each input its digest.
        digest: The artifact's own, where it has one.
    """
    parameters = (
        dataclasses.asdict(config) if dataclasses.is_dataclass(config) and not isinstance(config, type) else config
    )
    return {
        "display_name": display_name,
        "step": step,
        "code_digest": os.environ.get(DIGEST) or code_digest(step),
        "parameters": json.dumps({name: value for name, value in parameters.items() if value is not None}),
        "inputs": json.dumps(dict(inputs)),
    } | ({"digest": digest} if digest else {})


def entry(metadata: Mapping[str, Any]) -> Entry:
    """An artifact's metadata, from `describe`, as a model file carries it.

    Of what is an address only here it keeps the last part, as `dataset_name` or `weights_name`: under a key of its own,
    since a folder may be called `sample`. The same on a laptop and on a cluster, a model's bytes stay the same too.
    """
    parameters = {}
    for name, value in json.loads(metadata["parameters"]).items():
        if name in _ADDRESSES and not addresses.is_name(value):
            parameters[f"{name}_name"] = addresses.last_part(value)
        elif name not in _DIGESTS:
            parameters[name] = value
    return {
        "step": metadata["step"],
        "digest": metadata.get("digest"),
        "code_digest": metadata["code_digest"],
        "parameters": parameters,
        "inputs": json.loads(metadata["inputs"]),
    }


def embed(
    model: Path,
    described: Mapping[str, Any],
    records: Mapping[str, Any],
    manifest: Manifest,
    checkpoints: Mapping[str, Any] | None = None,
    heads: Mapping[str, str] | None = None,
) -> None:
    """Put a model's lineage into its file, and take dates and addresses out: equal trainings then give equal files.

    Args:
        model: `.keras` file, rewritten in place.
        described: The model's metadata, from `describe`.
        records: The metadata of the records it was trained on.
        manifest: Those records' manifest.
        checkpoints: The metadata of the checkpoints that it started from, if it did.
        heads: Each epoch's digest in those checkpoints.
    """
    own = entry(described)
    photos = {split: found["photos"] for split, found in manifest["splits"].items()}
    document: Lineage = {
        "format": FORMAT,
        "model": own,
        "records": {**entry(records), "classes": manifest["classes"], "photos": photos},
    }
    if checkpoints is not None and heads is not None:
        epoch = own["parameters"]["switch_epoch"]
        document["checkpoints"] = {**entry(checkpoints), "epoch": epoch, "epoch_digest": heads[str(epoch)]}
    temporary = model.with_name("part.keras")
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(temporary, "w") as new:
        config = _numbered(old.read(CONFIG))
        document["seal"] = _seal(document, config)
        for name in old.namelist():
            if name == MEMBER:
                continue
            with old.open(name) as source, new.open(zipfile.ZipInfo(name, _EPOCH), "w", force_zip64=True) as target:
                if name == CONFIG:
                    target.write(config)
                elif name == "metadata.json":
                    kept = {key: value for key, value in json.load(source).items() if key != "date_saved"}
                    target.write(json.dumps(kept).encode())
                else:
                    shutil.copyfileobj(source, target, 1 << 20)
        new.writestr(zipfile.ZipInfo(MEMBER, _EPOCH), json.dumps(document, indent=1, sort_keys=True))
    temporary.replace(model)


def _numbered(config: bytes) -> bytes:
    """Keras' configuration with shared objects numbered in their order: Keras takes their addresses in memory."""
    numbers: dict[int, int] = {}

    def number(found: dict[str, Any]) -> dict[str, Any]:
        if "shared_object_id" in found:
            found["shared_object_id"] = numbers.setdefault(found["shared_object_id"], len(numbers) + 1)
        return found

    return json.dumps(json.loads(config, object_hook=number)).encode()


def _seal(document: Lineage, config: bytes) -> str:
    """Digest of what a digest of the weights leaves out: the lineage itself and the architecture."""
    content = {key: value for key, value in document.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode() + config).hexdigest()


def sealed(model: Path) -> bool:
    """Whether a model file's lineage and architecture are those that `embed` wrote: damage shows, forgery does not."""
    document = embedded(model)
    with zipfile.ZipFile(model) as archive:
        return bool(document.get("seal") == _seal(document, archive.read(CONFIG)))


def embedded(model: Path) -> Lineage:
    """The lineage that a model file carries.

    Raises:
        LineageError: It is no `.keras` file, or carries none.
    """
    try:
        with zipfile.ZipFile(model) as archive:
            document: Lineage = json.loads(archive.read(MEMBER))
    except KeyError:
        raise LineageError(
            f"{model} carries no lineage ({MEMBER} is not in it): Switchpoint did not save it, or an older version did."
        ) from None
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise LineageError(f"{model} can't be read as a .keras file ({error}).") from error
    if document.get("format") != FORMAT:
        raise LineageError(
            f"{model} has a lineage of format {document.get('format')}; this version reads format {FORMAT}."
        )
    return document


def measured(evaluation: Evaluation) -> dict[str, float]:
    """What the Kubeflow UI shows of an evaluation: its artifact's metadata, since it is metrics."""
    numbers = {
        "top-1 accuracy": evaluation["top_1"],
        "top-5 accuracy": evaluation["top_5"],
        "loss": evaluation["loss"],
        "expected calibration error": evaluation["calibration"]["ece"],
    }
    if robustness := evaluation["robustness"]:
        rows = robustness["corrupted"]
        numbers["top-1 accuracy, corrupted"] = sum(row["top_1"] for row in rows) / len(rows)
    return numbers
