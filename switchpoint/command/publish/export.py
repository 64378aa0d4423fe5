"""Publish a run's best model: in a new folder, or in a bucket under a version, with a pointer to the newest."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from switchpoint import addresses
from switchpoint.command import formats
from switchpoint.command.errors import ArtifactGoneError, ExportError, NoModelError
from switchpoint.command.publish import card, comparison
from switchpoint.command.publish.gcs_sending import crc32c
from switchpoint.command.publish.upload import upload
from switchpoint.command.runs import outputs
from switchpoint.command.runs.artifacts import metadata
from switchpoint.errors import StorageError
from switchpoint.provenance.digests import content_digest
from switchpoint.storage import read_json, write_json

if TYPE_CHECKING:
    from switchpoint.command.documents import Run


def export(document: Run, destination: str, kind: str, checked: bool = False) -> str:
    """Write the best model of a run, its classes and its card; nothing is there before all of it is.

    Args:
        document: Of a run of this machine.
        destination: A folder that is not there yet, or an address such as gs://BUCKET/models/NAME.
        kind: One of `switchpoint.command.formats.FORMATS`.
        checked: The model was compared with the report's already, as that of a cluster's run.

    Returns:
        What was done, for a person.

    Raises:
        NoModelError: The run did not succeed.
        ArtifactGoneError: The model is no longer there, or not as the run left it.
        ExportError: The folder is there or can't be made, or the format can't hold the network.
        MissingPackageError: A library of the format is not installed.
    """
    if document["state"] != "succeeded" or not document["model"]:
        raise NoModelError(f"Run {document['id']} {document['state']}: only a run that succeeded has a best model.")
    remote = addresses.is_remote(destination)
    if not remote and Path(destination).exists():
        raise ExportError(f"{destination} exists and is not replaced. Name a folder that is not there yet.")
    best = Path(document["model"])
    if not best.is_file():
        raise ArtifactGoneError(f"{best} is gone. Run the pipeline again to have it back.")
    if why := "" if checked else changed(document):
        raise ArtifactGoneError(
            f"{best} is not published: of the report that it belongs to, {why}. Run the pipeline again to have it back."
        )
    with tempfile.TemporaryDirectory() as directory:
        model = Path(directory, f"model.{kind}")
        names = json.dumps(card.classes(document), indent=1)
        Path(directory, formats.CLASSES).write_text(names + "\n", encoding="utf-8")
        formats.write(kind, best, Path(directory))
        compared, cost = "", ""
        if kind != "keras":  # which is the run's, byte for byte
            agreement = comparison.compare(document, best, model)
            compared, cost = f" {agreement.said}", f" {agreement.cost}"
        text = card.card(document, kind, compared)
        if remote:
            # A version never changes, so that the other format of a run is another version.
            version = document["id"] if kind == "keras" else f"{document['id']}-{kind}"
            if kind in ("savedmodel", "onnx"):  # other bytes each time that they are written
                version += f"-{content_digest(Path(directory))[:8]}"
            publish(_files(Path(directory)), text, destination, version)
            base = destination.rstrip("/")
            return f"Published {base}/{version}; {base}/latest.json points to it.{compared}{cost}"
        Path(directory, "README.md").write_text(text, encoding="utf-8")
        _copy(Path(directory), Path(destination))
    return f"Exported to {destination}.{compared}{cost}"


def changed(document: Run) -> str:
    """What is published is what the report left behind, byte for byte; else what is not."""
    (made,) = (step["outputs"] for step in document["steps"] if step["name"] == "report")
    places = {name: Path(made[name]) for name in ("model", "results")}
    found = {name: outputs.Output(path, (metadata(path) or {}).get("digest")) for name, path in places.items()}
    return outputs.changed(found, contents=True, refresh=False)


def _files(directory: Path) -> dict[str, Path]:
    """All files of an export, by their names inside."""
    return {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}


def _copy(directory: Path, destination: Path) -> None:
    """Copy files to a new folder, which is there when all of them are, with the permissions that new folders get."""
    try:
        with suppress(FileExistsError):
            destination.parent.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}.") as hidden:
            part = Path(hidden, destination.name)
            part.mkdir()
            for name, path in _files(directory).items():
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, part / name)
            part.rename(destination)
    except OSError as error:
        raise ExportError(f"{destination} can't be written: {error.strerror}.") from error


def publish(files: dict[str, Path], readme: str, uri: str, version: str) -> dict[str, Any]:
    """Publish a model as `uri`/`version`/…, then point `uri`/latest.json to it: readers never see half a model.

    A version never changes: published again with the same content it is left as it is, with other content refused.

    Args:
        files: Name below the version → file.
        readme: README.md, the model card.
        uri: Such as gs://bucket/models/NAME.
        version: Letters, digits, '.', '_' and '-'.

    Returns:
        The pointer: `version`, and `files` with each name's `sha256`, `crc32c` and `size`.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", version):
        raise StorageError(f"The version is {version!r}; use letters, digits, '.', '_' and '-'.")
    base = uri.rstrip("/")
    _, seen = read_json(f"{base}/latest.json")
    pointer: dict[str, Any] = {"version": version, "files": {}}
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "README.md")
        page.write_text(readme, encoding="utf-8")
        for name, path in sorted({**files, "README.md": page}.items()):
            upload(path, f"{base}/{version}/{name}", replace=False)
            with path.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            pointer["files"][name] = {"sha256": sha256, "crc32c": crc32c(path), "size": path.stat().st_size}
    write_json(f"{base}/latest.json", pointer, seen)
    return pointer
