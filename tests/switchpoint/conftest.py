"""Real object stores on this machine, each behind a proxy that breaks what a network breaks."""

import functools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from switchpoint.storage import gcs as cloud_storage
from switchpoint.storage import patience, s3_client
from tests.stores import gcs as gcs_store
from tests.stores import s3 as s3_store
from tests.stores.gcs import Gcs
from tests.stores.proxy import Bucket, proxied
from tests.stores.s3 import S3
from tests.support import starts_a_server


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[str]:
    """Address of the server, without the proxy."""
    starts_a_server()
    with gcs_store.gcs_server() as url:
        yield url


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the server, without the proxy."""
    starts_a_server()
    from botocore.loaders import JSONFileLoader

    # Each test's client has a session of its own, which reads the same two megabytes of JSON.
    once = functools.cache(JSONFileLoader().load_file)
    with pytest.MonkeyPatch.context() as patch, s3_store.s3_server(tmp_path_factory.mktemp("seaweedfs")) as url:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: once(path))
        yield url


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow each other quickly."""
    for name, value in {"DEADLINE": 20.0, "FIRST_WAIT": 0.02, "LONGEST_WAIT": 0.1}.items():
        monkeypatch.setattr(patience, name, value)


@pytest.fixture
def gcs(gcs_server: str, soon: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gcs]:
    """An empty bucket in Cloud Storage, reached through a proxy that fails as told."""
    gcs = Gcs(gcs_server)
    gcs.make_bucket()
    with proxied(gcs), ExitStack() as closing:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
        cloud_storage.cloud_storage.cache_clear()
        closing.callback(cloud_storage.cloud_storage.cache_clear)
        closing.callback(lambda: cloud_storage.cloud_storage().close())
        yield gcs


@pytest.fixture
def s3(s3_server: str, soon: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """An empty bucket in SeaweedFS, reached through a proxy that fails as told."""
    s3 = S3(s3_server)
    s3.make_bucket()
    with proxied(s3), ExitStack() as closing:
        for name in [name for name in os.environ if name.startswith(("AWS_", s3_client.MINIO))]:
            monkeypatch.delenv(name)
        for name, value in s3_store.environment(s3.url).items():
            monkeypatch.setenv(name, value)
        s3_client.forget()
        closing.callback(s3_client.forget)
        yield s3


@pytest.fixture(params=["gcs", "s3"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """An empty bucket of each store."""
    found: Any = request.getfixturevalue(request.param)
    assert isinstance(found, Bucket)
    return found


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder as a user has it: classes, an empty file, hidden files, symbolic links, one file of several requests."""
    folder = tmp_path / "photos"
    for name, content in {
        "ramen/1.jpg": b"ramen one",
        "ramen/2 é#?%.jpg": b"ramen two",
        "sushi/1.jpg": b"sushi one",
        "sushi/empty.jpg": b"",
        "archive.tar": os.urandom(patience.SMALL + 2**20),
        ".DS_Store": b"junk",
        ".git/config": b"junk",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "1.jpg").write_bytes(b"pho one")
    (folder / "pho").symlink_to(elsewhere)
    (folder / "sushi/2.jpg").symlink_to(elsewhere / "1.jpg")
    return folder
