"""What Kubeflow Pipelines 2.17.0 refuses for its length, when, and counted in what.

Names that are in an index are counted in bytes by Go's `len`, before anything is made, and answered with 400
(backend/src/apiserver/validation/length.go). The other texts are VARCHAR(255) of MySQL (DefaultStringSize in
client_manager/client_manager.go), which counts characters: that fails when the run is stored, with 500, after its
workflow was made. MySQL's connection is `charset=utf8` (client/sql.go), whose characters have three bytes at most.
"""

import re
from typing import Any


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def pipeline(name: str) -> None:
    """apiserver/common/utils.go: pipelineNamePattern."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,127}", name):
        raise Refusal(400, "pipeline's name must contain no more than 128 characters")


def version(name: str, tags: dict[str, str]) -> None:
    """apiserver/validation/length.go: PipelineVersion.Name; apiserver/model/pipeline_tags.go."""
    if len(name.encode()) > 127:
        raise Refusal(400, "PipelineVersion.Name length cannot exceed 127")
    for key, value in tags.items():
        if len(key) > 63 or len(value) > 63:
            raise Refusal(400, f"tag value {value!r} for key {key!r} exceeds maximum length of 63 characters")
    _stored("pipeline_versions", Name=name, **tags)


def experiment(name: str) -> None:
    """apiserver/validation/length.go: Experiment.Name."""
    if len(name.encode()) > 128:
        raise Refusal(400, "Experiment.Name length cannot exceed 128")
    _stored("experiments", Name=name)


def run(sent: Any) -> None:
    """apiserver/model/run.go: DisplayName, Description and ServiceAccount have no length of their own."""
    texts = {"DisplayName": sent.display_name, "Description": sent.description, "ServiceAccount": sent.service_account}
    _stored("run_details", **texts)
    _three_bytes("run_details", "RuntimeParameters", "".join(map(str, sent.runtime_config.parameters.values())))


def _stored(table: str, **columns: str | None) -> None:
    for column, text in columns.items():
        if len(text or "") > 255:
            raise Refusal(500, f"Failed to store {table}: Error 1406 (22001): Data too long for column '{column}'")
        _three_bytes(table, column, text or "")


def _three_bytes(table: str, column: str, text: str) -> None:
    if any(ord(character) > 0xFFFF for character in text):
        raise Refusal(500, f"Failed to store {table}: Error 1366 (HY000): Incorrect string value for column '{column}'")
