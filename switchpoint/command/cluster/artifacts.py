"""What a cluster's runs wrote: where it lies, and its content, read from the store or through Kubeflow's UI.

A run's workflow has the address of each output in it, so nothing of the store need be known; and on an installation as
shipped the UI, which --host is the address of, reads them for whoever may see the run. The store itself is asked where
its settings are known here: it can be listed, and what comes from it is checked.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import urllib3

from switchpoint import addresses, storage
from switchpoint.command.cluster import launcher
from switchpoint.command.cluster.steps import unpacked
from switchpoint.command.cluster.submission import PIPELINE
from switchpoint.command.errors import ClusterError
from switchpoint.errors import LostError, StorageError
from switchpoint.storage import s3_client, s3_errors

if TYPE_CHECKING:
    from switchpoint.command.cluster.client import Cluster, Run

# Any of them says that the AWS tools have been set up here; ~/.aws alone may be for something else.
SETTINGS = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)
PIECE = 2**20  # bytes


def direct(uri: str) -> bool:
    """Whether the store of an address is to be asked itself, as far as its settings go."""
    return addresses.scheme(uri) == "gs" or s3_client.is_told(uri) or any(os.environ.get(name) for name in SETTINGS)


def listable(root: str) -> bool:
    """Whether a root is in a store that can be asked what there is."""
    return addresses.is_remote(root) and direct(root)


def root_of(run: Run, pipeline_root: str | None) -> str:
    """Where a run's artifacts go, if it or the caller says so; "" if not."""
    return (run.runtime_config and run.runtime_config.pipeline_root) or pipeline_root or ""


class Artifacts:
    """Outputs of a cluster's runs: ROOT/PIPELINE/RUN/TASK/random/OUTPUT."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def named(self, run_id: str) -> list[str]:
        """The addresses of a run's outputs, as its workflow has them; none of what came from the cache."""
        text = unpacked(self.cluster.workflow(run_id))
        schemes = "|".join(addresses.STORES)
        # Drivers write them into the steps' pods: JSON in JSON in JSON, hence the backslashes.
        found = re.findall(rf'(?:{schemes})://[^"\\\s]+?/{PIPELINE}/{re.escape(run_id)}/[^"\\\s]+', text)
        return sorted({uri for uri in found if not uri.endswith("executor-logs")})

    def listed(self, run_id: str, root: str) -> list[tuple[str, storage.Object]]:
        """The objects of a run below a root, with their addresses, oldest first."""
        prefix = f"{root.rstrip('/')}/{PIPELINE}/{run_id}/"
        place = addresses.place(root)
        objects = sorted(storage.listing(prefix), key=lambda item: item.written)
        return [(f"{place}/{item.name}", item) for item in objects]

    def find(self, run: Run, root: str, step: str, output: str) -> str | None:
        """The address of a step's output, a file; None when the run made none, or that can't be known from here."""
        found = self.every(run, root, step, output)
        return found[-1] if found else None

    def every(self, run: Run, root: str, step: str, output: str) -> list[str]:
        """The same of each seed and attempt. The workflow names them before they are there."""
        uris = self.named(run.run_id)
        if not uris and listable(root):
            uris = [uri for uri, _ in self.listed(run.run_id, root)]
        return [uri for uri in uris if re.search(rf"/{run.run_id}/{step}/[^/]+/{output}$", uri)]

    def digests(self, run: Run, root: str) -> dict[str, str] | None:
        """Digests of dataset and weights that a run began with; None when that can't be known from here."""
        try:
            found = self.find(run, root, "digest", "digests")
            return dict(self.read_json(found)) if found else None
        except (ClusterError, StorageError):
            return None

    def read_json(self, uri: str) -> Any:
        """The value in a JSON output.

        Raises:
            StorageError: It can't be had, either way; a `LostError` when that says nothing of others.
        """
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "file")
            self.download(uri, path)
            content = path.read_bytes()
        try:
            return json.loads(content)
        except ValueError as error:
            page = " It answers with a web page, most likely a login page." if content.lstrip()[:1] == b"<" else ""
            raise LostError(f"{uri} is not JSON: {error}.{page}") from error

    def download(self, uri: str, path: Path) -> None:
        """Copy an output that is a file.

        Raises:
            StorageError: It can't be had, either way.
        """
        refused: StorageError | None = None
        if direct(uri):
            try:
                storage.download(uri, path)
                return
            except StorageError as error:
                if addresses.scheme(uri) == "gs":
                    raise
                refused = error  # settings of another store, perhaps
        try:
            self._through_ui(uri, path)
        except (urllib3.exceptions.HTTPError, OSError, ClusterError) as error:
            if found := launcher.access(uri, self.cluster.own_namespace() or "kubeflow"):
                s3_client.tell(uri, found)  # whoever reads the bucket from now on reaches it
                storage.download(uri, path)
                return
            kind = LostError if isinstance(error, ClusterError) else StorageError  # an answer says that there is a way
            raise refused or kind(
                f"Can't read {uri} through {self.cluster.host}: {error}. From the store itself: {s3_errors.FORWARD}, "
                "with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of its secret mlpipeline-minio-artifact; where "
                "your kubeconfig may read that secret and ConfigMap kfp-launcher, the port-forward alone will do."
            ) from error

    def _through_ui(self, uri: str, path: Path) -> None:
        bucket, name = addresses.parse(uri)
        source = addresses.scheme(uri).replace("gs", "gcs")
        url = f"{self.cluster.host}/artifacts/{source}/{bucket}/{quote(name)}"
        if namespace := self.cluster.own_namespace():
            url += f"?namespace={quote(namespace)}"
        part = path.with_name(f".{path.name}.part")
        with self.cluster.raw(url) as response, part.open("wb") as file:
            if response.status != 200:
                said = response.read(500).decode(errors="replace").strip()
                raise ClusterError(f"it answers {response.status} {said}".rstrip())
            for piece in response.stream(PIECE):
                file.write(piece)
        part.replace(path)
