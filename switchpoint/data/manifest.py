"""The manifest of records: what is in them, and the digests by which they are known to be whole.

records/
    train-00000-of-00002.tfrecord  …  validation-…  test-…
    contents.json     of each split the SHA-256 of each photo's original bytes, in the records' order
    manifest.json     written last: a directory without it is not records
"""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from switchpoint.errors import RecordsError, again
from switchpoint.provenance.digests import file_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from switchpoint.documents.records import Manifest, ManifestContent

SPLITS = ("train", "validation", "test")
MANIFEST, CONTENTS = "manifest.json", "contents.json"


@contextmanager
def writing(records: Path) -> Iterator[Path]:
    """Give a temporary sibling to write into; move it to `records` if all went well, else remove it."""
    if records.exists() and any(
        path.suffix != ".tfrecord" and path.name not in (MANIFEST, CONTENTS) for path in sorted(records.iterdir())
    ):
        raise RecordsError(f"{records} holds something other than records. Name an empty or a new directory.")
    partial = records.with_name(f"{records.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a killed run
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(records, ignore_errors=True)
        partial.rename(records)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_manifest(directory: Path, content: ManifestContent) -> Manifest:
    """Add the digest and write it: the last file of `directory`."""
    manifest: Manifest = {**content, "digest": _digest(content)}
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def write_contents(directory: Path, contents: Mapping[str, list[str]]) -> str:
    """Write which photos each split has; gives the file's digest."""
    (directory / CONTENTS).write_text(json.dumps(contents) + "\n", encoding="utf-8")
    return file_digest(directory / CONTENTS)


def read_contents(records: Path) -> dict[str, list[str]]:
    """Which photos each split has: hex SHA-256 of their original bytes, in the records' order.

    Raises:
        RecordsError: It is not what the manifest says.
    """
    path = records / CONTENTS
    if not path.is_file() or file_digest(path) != read_manifest(records).get("contents"):
        raise RecordsError(f"{path} is not what was written. {again('prepare')}")
    found: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _digest(manifest: Mapping[str, Any]) -> str:
    """Of everything but the dataset's address and what lay beside the photos: the same photos are the same records."""
    content = {key: value for key, value in manifest.items() if key not in ("digest", "source", "notes")}
    content["source"] = manifest["source"]["digest"]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_manifest(records: Path) -> Manifest:
    """Read the manifest and check that the shards it names are there, whole by their sizes.

    Raises:
        RecordsError: No manifest, one that was changed, or a shard is missing or cut short.
    """
    path = records / MANIFEST
    try:
        manifest: Manifest = json.loads(path.read_text(encoding="utf-8"))
        digest = _digest(manifest)
        sizes = {s["file"]: s["bytes"] for name in SPLITS for s in manifest["splits"][name]["shards"]}
    except FileNotFoundError:
        raise RecordsError(f"No {MANIFEST} in {records}: not records, or not whole. {again('prepare')}") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RecordsError(f"{path} is not a manifest ({error!r}). {again('prepare')}") from error
    if digest != manifest.get("digest"):
        raise RecordsError(f"{path} was changed after it was written. {again('prepare')}")
    for name, size in sizes.items():
        shard = records / name
        found = shard.stat().st_size if shard.is_file() else None
        if found != size:
            received = "is missing" if found is None else f"has {found} bytes, not {size}"
            raise RecordsError(f"{shard} {received}. {again('prepare')}")
    return manifest


def verify_records(records: Path) -> Manifest:
    """Read the manifest and every shard; raise RecordsError if one is not what its digest says."""
    manifest = read_manifest(records)
    for split in manifest["splits"].values():
        for shard in split["shards"]:
            if file_digest(records / shard["file"]) != shard["sha256"]:
                raise RecordsError(f"{records / shard['file']} is not what its digest says. {again('prepare')}")
    return manifest
