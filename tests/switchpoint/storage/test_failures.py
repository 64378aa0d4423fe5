import time
from pathlib import Path

import pytest

from switchpoint import storage
from switchpoint.command.publish.upload import upload
from switchpoint.errors import StorageError
from switchpoint.storage import gcs as cloud_storage
from switchpoint.storage import patience
from tests.stores import gcs as gcs_store
from tests.stores.gcs import Gcs
from tests.stores.proxy import Bucket

# What google-api-core warns of when it is first imported; nothing here speaks gRPC.
pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")


@pytest.mark.parametrize("kind", ["503", "drop", "stall"])
@pytest.mark.parametrize("what", ["list", "download", "upload", "write_json"])
def test_a_server_that_stays_away_is_given_up_soon(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, what: str
) -> None:
    monkeypatch.setattr(patience, "DEADLINE", 1.0)
    bucket.put("x/1.jpg", b"1")
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number}.jpg").write_bytes(b"photo")
    bucket.fail(kind, {"list": "", "download": bucket.READS}.get(what, bucket.WRITES), times=10**6, message="Down.")
    started = time.monotonic()
    with pytest.raises(StorageError, match=r"(gs|s3)://bucket-\w+.*: no progress for 1 seconds in spite of retries"):
        {
            "list": lambda: storage.digest(bucket.uri("x")),
            "download": lambda: storage.download(bucket.uri("x"), tmp_path / "back"),
            "upload": lambda: upload(folder, bucket.uri("y")),
            "write_json": lambda: storage.write_json(bucket.uri("z.json"), 1),
        }[what]()
    assert time.monotonic() - started < 10
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert bucket.names() == ["x/1.jpg"]


def test_a_bucket_that_does_not_exist_is_said(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"1")
    for act in (
        lambda: storage.digest(f"{bucket.scheme}://no-such-bucket/x"),
        lambda: storage.download(f"{bucket.scheme}://no-such-bucket/x", tmp_path / "back"),
        lambda: upload(tmp_path / "1.jpg", f"{bucket.scheme}://no-such-bucket/x"),
        lambda: storage.write_json(f"{bucket.scheme}://no-such-bucket/x.json", 1),
    ):
        with pytest.raises(StorageError, match=r"Can't \w+ (gs|s3)://no-such-bucket/x\S*\. The bucket does not exist"):
            act()


@pytest.mark.parametrize(
    ("what", "right", "role"),
    [
        ("list", "storage.objects.list", "objectViewer"),
        ("download", "storage.objects.get", "objectViewer"),
        ("upload", "storage.objects.create", "objectUser"),
    ],
)
@pytest.mark.parametrize("says", [gcs_store.FORBIDDEN, "No."])
def test_a_missing_right_is_named(gcs: Gcs, tmp_path: Path, what: str, right: str, role: str, says: str) -> None:
    gcs.put("x/1.jpg", b"1")
    (tmp_path / "1.jpg").write_bytes(b"1")
    pattern = {"list": gcs.LISTS, "download": gcs.READS, "upload": "^POST"}[what]
    gcs.fail(403, pattern, times=100, message=says.format(right=right))
    with pytest.raises(StorageError) as caught:
        {
            "list": lambda: storage.digest(gcs.uri("x")),
            "download": lambda: storage.download(gcs.uri("x"), tmp_path / "back"),
            "upload": lambda: upload(tmp_path / "1.jpg", gcs.uri("y/")),
        }[what]()
    assert f"that needs the permission {right}, which roles/storage.{role} on the bucket gives" in str(caught.value)
    caller = "trainer@lab.iam.gserviceaccount.com" if says is gcs_store.FORBIDDEN else "The caller"
    assert str(caught.value).startswith(f"{caller} may not ")
    assert [path.name for path in tmp_path.iterdir()] == ["1.jpg"]


@pytest.mark.parametrize("where", ["nowhere", "a missing file"])
def test_no_credentials_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    if where == "a missing file":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    cloud_storage.cloud_storage.cache_clear()
    with pytest.raises(StorageError, match=r"no valid Google credentials .*gcloud auth application-default login"):
        storage.digest("gs://bucket/x")
