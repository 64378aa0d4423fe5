import os
import re
import threading
from pathlib import Path

import pytest

from switchpoint import storage
from switchpoint.errors import StorageError
from tests.stores.files import contents, visible
from tests.stores.gcs import Gcs
from tests.stores.proxy import Bucket
from tests.stores.s3 import S3

# What google-api-core warns of when it is first imported; nothing here speaks gRPC.
pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")


def test_the_digest_follows_names_and_what_the_store_says_of_contents(bucket: Bucket) -> None:
    bucket.put("photos/ramen/1.jpg", b"one")
    bucket.put("photos/empty-folder/", b"")
    digests = [storage.digest(bucket.uri("photos"))]
    assert digests[0] == storage.digest(bucket.uri("photos")) == storage.digest(bucket.uri("photos/"))
    bucket.put("photos/ramen/1.jpg", b"two")
    digests.append(storage.digest(bucket.uri("photos")))
    bucket.put("photos/ramen/2.jpg", b"two")
    digests.append(storage.digest(bucket.uri("photos")))
    assert len(set(digests)) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)


def test_the_same_content_written_again_is_another_generation_but_the_same_etag(gcs: Gcs, s3: S3) -> None:
    for bucket, same in ((gcs, False), (s3, True)):
        bucket.put("photos/1.jpg", b"one")
        before = storage.digest(bucket.uri("photos"))
        bucket.put("photos/1.jpg", b"one")
        assert (storage.digest(bucket.uri("photos")) == before) is same


@pytest.mark.parametrize("kind", ["drop", "drop-answer", "503", "truncate"])
def test_a_download_survives(bucket: Bucket, photos: Path, tmp_path: Path, kind: str) -> None:
    for name, content in visible(photos).items():
        bucket.put(f"photos/{name}", content)
    bucket.fail(kind, bucket.READS, times=4)
    bucket.fail(kind, bucket.LISTS, times=1)
    bucket.fail(kind, f"{bucket.READS}.*archive", times=2)
    storage.download(bucket.uri("photos"), tmp_path / "back")
    assert contents(tmp_path / "back") == visible(photos)
    assert all(fault.times == 0 for fault in bucket.faults)


@pytest.mark.parametrize("name", ["1.jpg", "archive.tar"])
def test_damage_after_a_resumed_download_is_found(bucket: Bucket, tmp_path: Path, name: str) -> None:
    """The library itself compares no checksum after it resumed."""
    bucket.put(name, os.urandom(9 * 2**20 if name == "archive.tar" else 1000))
    bucket.fail("truncate", bucket.READS)
    bucket.fail("corrupt", bucket.READS)
    with pytest.raises(StorageError, match=f"{bucket.uri(name)} arrived damaged"):
        storage.download(bucket.uri(name), tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_photo_leaves_nothing_behind(bucket: Bucket, tmp_path: Path) -> None:
    for number in range(20):
        bucket.put(f"photos/{number}.jpg", b"photo")
    bucket.fail("corrupt", f"{bucket.READS}.*(%2F|/)7.jpg")
    with pytest.raises(StorageError, match=f"{bucket.uri('photos/7.jpg')} arrived damaged"):
        storage.download(bucket.uri("photos"), tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_changes_while_it_is_read_is_an_error(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("photos/1.jpg", b"old")
    bucket.fail("call", bucket.READS, call=lambda: bucket.put("photos/1.jpg", b"new"))
    with pytest.raises(StorageError, match=rf"{bucket.uri('photos/1.jpg')}. It was replaced or deleted meanwhile"):
        storage.download(bucket.uri("photos"), tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


def test_no_object_is_said(bucket: Bucket, tmp_path: Path) -> None:
    assert storage.listing(bucket.uri("x")) == []
    for act in (lambda: storage.digest(bucket.uri("x")), lambda: storage.download(bucket.uri("x"), tmp_path / "back")):
        with pytest.raises(StorageError, match=f"There is no object {bucket.uri('x')} and none below it"):
            act()


def test_names_that_no_file_system_can_hold_together_leave_nothing(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("photos/a", b"file")
    bucket.put("photos/a/b", b"in a folder of that name")
    with pytest.raises(StorageError, match=r"Can't read (gs|s3)://"):
        storage.download(bucket.uri("photos"), tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


def test_what_is_at_the_destination_stays(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("photos/a", b"new")
    (tmp_path / "back").mkdir()
    storage.download(bucket.uri("photos"), tmp_path / "back")
    with pytest.raises(StorageError, match="exists and is not an empty folder"):
        storage.download(bucket.uri("photos"), tmp_path / "back")
    assert contents(tmp_path) == {"back/a": b"new"}


def test_progress_is_told_by_one_thread_at_a_time(bucket: Bucket, tmp_path: Path) -> None:
    for number in range(30):
        bucket.put(f"photos/{number}.jpg", os.urandom(20000))
    busy = threading.Lock()
    done: list[int] = []

    def progress(count: int, total: int, name: str) -> None:
        assert busy.acquire(blocking=False)
        done.append(count)
        assert total == 30 * 20000
        busy.release()

    storage.download(bucket.uri("photos"), tmp_path / "back", progress)
    assert done == sorted(done)
    assert done[-1] == 30 * 20000


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "a//b", "./a", "a/.."])
def test_a_name_that_leaves_the_destination_is_refused(gcs: Gcs, tmp_path: Path, name: str) -> None:
    gcs.put("photos/a.jpg", b"good")
    gcs.put(f"photos/{name}", b"evil")
    (tmp_path / "in").mkdir()
    with pytest.raises(StorageError, match="can't be a file below the destination"):
        storage.download(gcs.uri("photos"), tmp_path / "in/back")
    assert list((tmp_path / "in").iterdir()) == []
