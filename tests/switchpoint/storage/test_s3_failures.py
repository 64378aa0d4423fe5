"""What is said of S3's own failures; those that both stores have are in test_failures.py."""

import datetime
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from switchpoint import storage
from switchpoint.command.publish.upload import upload
from switchpoint.errors import StorageError
from switchpoint.storage import s3 as s3_storage
from switchpoint.storage import s3_client
from tests.stores import s3 as s3_store
from tests.stores.s3 import S3

Set = Callable[[str, str], None]


@pytest.fixture
def set_aws(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Set:
    """Change a variable; "" takes it away."""

    def change(name: str, value: str) -> None:
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name)
        s3_client.forget()

    return change


@pytest.mark.parametrize(
    ("what", "right"), [("list", "s3:ListBucket"), ("upload", "s3:PutObject"), ("delete", "s3:DeleteObject")]
)
def test_a_missing_right_is_named(s3: S3, set_aws: Set, tmp_path: Path, what: str, right: str) -> None:
    """The server itself refuses."""
    s3.put("x/1.jpg", b"1")
    (tmp_path / "1.jpg").write_bytes(b"1")
    set_aws("AWS_ACCESS_KEY_ID", s3_store.WRITER if what == "list" else s3_store.READER)
    set_aws("AWS_SECRET_ACCESS_KEY", s3_store.WRITERS_SECRET if what == "list" else s3_store.READERS_SECRET)
    with pytest.raises(StorageError) as caught:
        {
            "list": lambda: storage.digest(s3.uri("x")),
            "upload": lambda: upload(tmp_path / "1.jpg", s3.uri("y/")),
            "delete": lambda: storage.delete(s3.uri("x/1.jpg")),
        }[what]()
    assert f"The caller may not {'write' if what == 'upload' else what} {s3.uri()}" in str(caught.value)
    assert f"that needs the right {right} on the bucket. {s3.url} said: Access Denied" in str(caught.value)


def test_who_may_only_read_reads(s3: S3, set_aws: Set, tmp_path: Path) -> None:
    s3.put("x/1.jpg", b"1")
    set_aws("AWS_ACCESS_KEY_ID", s3_store.READER)
    set_aws("AWS_SECRET_ACCESS_KEY", s3_store.READERS_SECRET)
    storage.download(s3.uri("x"), tmp_path / "x")
    assert (tmp_path / "x/1.jpg").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AWS_ACCESS_KEY_ID", "nobody", "it does not know this access key. Set AWS_ACCESS_KEY_ID"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "the secret key is not the access key's"),
        ("AWS_ENDPOINT_URL", "localhost:9000", "AWS_ENDPOINT_URL is an address such as http://localhost:9000"),
        ("AWS_PROFILE", "nowhere", "no credentials for S3 .*nowhere.*AWS_PROFILE"),
    ],
)
def test_a_wrong_setting_says_which(s3: S3, set_aws: Set, variable: str, value: str, said: str) -> None:
    set_aws(variable, value)
    with pytest.raises(StorageError, match=f"Can't list {s3.uri('x')}: .*{said}"):
        storage.digest(s3.uri("x"))


def test_no_credentials_says_where_they_come_from(s3: S3, set_aws: Set) -> None:
    set_aws("AWS_ACCESS_KEY_ID", "")
    set_aws("AWS_SECRET_ACCESS_KEY", "")
    with pytest.raises(StorageError, match=r"no credentials for S3 .*AWS_PROFILE.*secret mlpipeline-minio-artifact"):
        storage.digest(s3.uri("x"))


def test_credentials_come_from_a_profile_too(s3: S3, set_aws: Set, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        f"[lab]\naws_access_key_id = {s3_store.ACCESS_KEY}\naws_secret_access_key = {s3_store.SECRET_KEY}\n"
    )
    (tmp_path / "config").write_text(f"[profile lab]\nendpoint_url = {s3.url}\nregion = us-east-1\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"):
        set_aws(name, "")
    set_aws("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    set_aws("AWS_CONFIG_FILE", str(tmp_path / "config"))
    set_aws("AWS_PROFILE", "lab")
    s3.put("x", b"1")
    assert storage.read_bytes(s3.uri("x"))[0] == b"1"


def test_a_kubeflow_address_needs_an_endpoint(s3: S3, set_aws: Set) -> None:
    s3.put("x", b"1")
    assert storage.read_bytes(f"minio://{s3.bucket}/x")[0] == b"1"
    set_aws("AWS_ENDPOINT_URL", "")
    with pytest.raises(
        StorageError,
        match=r"set AWS_ENDPOINT_URL, or SWITCHPOINT_MINIO_.*kubectl -n kubeflow port-forward svc/seaweedfs",
    ):
        storage.read_bytes(f"minio://{s3.bucket}/x")


def test_a_kubeflows_store_may_be_another_than_that_of_s3(s3: S3, s3_server: str, set_aws: Set) -> None:
    """Two addresses of one server stand for two stores; the one of s3:// is behind the proxy, and fails."""
    s3.put("x", b"1")
    for name, value in {"ENDPOINT_URL": s3_server, "ACCESS_KEY_ID": s3_store.READER}.items():
        set_aws(f"{s3_client.MINIO}_{name}", value)
    set_aws(f"{s3_client.MINIO}_SECRET_ACCESS_KEY", s3_store.READERS_SECRET)
    assert storage.read_bytes(f"minio://{s3.bucket}/x")[0] == b"1"
    assert s3.requests == []
    with pytest.raises(StorageError, match=rf"may not write minio://.*{s3_server} said"):
        storage.write_bytes(f"minio://{s3.bucket}/y", b"2", "text/plain")
    storage.write_bytes(s3.uri("y"), b"2", "text/plain")
    assert s3.requests and s3.get("y") == b"2"


def test_a_bucket_is_where_a_cluster_said_that_it_is(s3: S3, s3_server: str) -> None:
    s3.put("x", b"1")
    s3_client.tell(s3.uri("x"), s3_client.Access(s3_server, "", s3_store.ACCESS_KEY, s3_store.SECRET_KEY))
    assert storage.read_bytes(s3.uri("x"))[0] == b"1" and s3.requests == []
    with pytest.raises(StorageError, match=rf"bucket does not exist \({s3.url}\)"):
        storage.write_bytes("s3://another-bucket/y", b"2", "text/plain")


def test_an_endpoint_that_never_answers_is_given_up_sooner(
    s3: S3, set_aws: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_storage, "FIRST_DEADLINE", 0.3)
    monkeypatch.setattr(s3_storage.Retries, "heard", False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        set_aws("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(StorageError, match=r"http://127.0.0.1:\d+ does not answer .*Check AWS_ENDPOINT_URL"):
            storage.digest(s3.uri("x"))
    assert time.monotonic() - started < 5


def test_a_clock_that_is_wrong_is_said(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.auth

    now = botocore.auth.get_current_datetime
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now() + datetime.timedelta(hours=2))
    with pytest.raises(StorageError, match=r"this machine's clock is .*http://127\.0\.0\.1:\d+'s\. Set it\."):
        storage.digest(s3.uri("x"))


def test_no_secret_is_in_an_error(s3: S3, set_aws: Set) -> None:
    set_aws("AWS_SECRET_ACCESS_KEY", "a-secret-that-is-wrong")
    with pytest.raises(StorageError) as caught:
        storage.digest(s3.uri("x"))
    assert "a-secret" not in f"{caught.value}{caught.value.__cause__}"


def test_a_lock_can_be_had_where_conditions_hold_alone(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage.keeps_conditions(s3.uri("probe"))
    assert s3.names() == []
    monkeypatch.setattr(s3_storage, "condition", lambda version: {})  # what an old MinIO makes of it
    assert not storage.keeps_conditions(s3.uri("probe"))
    assert s3.names() == []
