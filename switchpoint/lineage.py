"""What an artifact knows of where it came from: it travels in the artifact's metadata (docs/adr/0002)."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from switchpoint.identity import DIGEST, code_digest


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


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
