"""A server of Kubeflow Pipelines' API, and the command that submits to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3
from click.testing import Result

from switchpoint.command.cluster import client as cluster
from switchpoint.command.cluster import connection
from switchpoint.provenance import digests as identity
from tests.kfp_server import Server
from tests.switchpoint.command.cluster.cases import DEMO, call


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting, and none of the user's own kfp or kubectl settings."""
    from kfp.client import Client

    monkeypatch.setattr(cluster, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(cluster, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(connection, "READ", 15)  # a loaded machine may stand still for seconds
    monkeypatch.setattr(connection, "RETRIES", urllib3.Retry(connect=0, read=0, redirect=5))
    monkeypatch.setattr(Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    for name in ("KF_PIPELINES_ENDPOINT", "KF_PIPELINES_UI_ENDPOINT", identity.REGISTRY, identity.DEVICE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def submit(server: Server) -> Callable[..., Result]:
    def submit(*arguments: str) -> Result:
        return call("submit", *DEMO, "--host", server.host, *arguments)

    return submit
