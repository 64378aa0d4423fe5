import base64
import json
import os
import re
from pathlib import Path

import pytest

from switchpoint import storage
from switchpoint.command.publish.upload import upload
from switchpoint.errors import StorageError
from switchpoint.storage import patience
from tests.stores import s3 as s3_store
from tests.stores.files import PHOTOS, contents, visible
from tests.stores.gcs import Gcs
from tests.stores.proxy import Bucket
from tests.stores.s3 import S3

# What google-api-core warns of when it is first imported; nothing here speaks gRPC.
pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")


def test_a_folder_comes_back_as_it_went(bucket: Bucket, photos: Path, tmp_path: Path) -> None:
    bucket.put("photos-of-others/1.jpg", b"not below photos/")
    seen: list[tuple[int, int, str]] = []
    assert upload(photos, bucket.uri("photos"), lambda *told: seen.append(told)) == (len(PHOTOS), 0, 0)
    assert sorted(bucket.names()) == sorted(["photos-of-others/1.jpg", *(f"photos/{name}" for name in PHOTOS)])
    total = sum(map(len, visible(photos).values()))
    assert max(seen)[:2] == (total, total)
    assert {name for *_, name in seen} == {f"photos/{name}" for name in PHOTOS}
    assert [item.name for item in storage.listing(bucket.uri("photos"))] == [f"photos/{name}" for name in PHOTOS]

    seen.clear()
    digest = storage.download(bucket.uri("photos/"), tmp_path / "a/b/back", lambda *told: seen.append(told))
    assert contents(tmp_path / "a/b/back") == visible(photos)
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["back"]
    assert max(seen)[:2] == (total, total)
    assert digest == storage.digest(bucket.uri("photos")) == storage.digest(bucket.uri("photos/"))


def test_a_file_comes_back_as_it_went(bucket: Bucket, tmp_path: Path) -> None:
    file = tmp_path / "food-101.tar.gz"
    file.write_bytes(b"photos")
    upload(file, bucket.uri("data/"))
    upload(file, bucket.uri("other-name.tar.gz"))
    assert bucket.names() == ["data/food-101.tar.gz", "other-name.tar.gz"]
    digest = storage.download(bucket.uri("data/food-101.tar.gz"), tmp_path / "back.tar.gz")
    assert (tmp_path / "back.tar.gz").read_bytes() == b"photos"
    assert digest == storage.digest(bucket.uri("data/food-101.tar.gz"))


def test_an_upload_sends_only_what_differs(bucket: Bucket, photos: Path) -> None:
    upload(photos, bucket.uri("photos"))
    before = storage.digest(bucket.uri("photos"))
    assert upload(photos, bucket.uri("photos")) == (0, len(PHOTOS), 0)
    assert storage.digest(bucket.uri("photos")) == before
    (photos / "ramen/1.jpg").write_bytes(b"another")
    (photos / "archive.tar").write_bytes(b"another")
    (photos / "sushi/1.jpg").unlink()
    assert upload(photos, bucket.uri("photos")) == (2, len(PHOTOS) - 3, 1)
    assert bucket.get("photos/ramen/1.jpg") == bucket.get("photos/archive.tar") == b"another"


def test_an_interrupted_upload_goes_on(bucket: Bucket, photos: Path) -> None:
    bucket.fail("call", bucket.SENDS, times=2)
    bucket.fail(400, bucket.SENDS, message="Interrupted.")
    with pytest.raises(StorageError, match=r"Can't write (gs|s3)://.*photos.*Interrupted\."):
        upload(photos, bucket.uri("photos"))
    assert len(bucket.names()) == len(PHOTOS) - 1
    assert upload(photos, bucket.uri("photos")) == (1, len(PHOTOS) - 1, 0)
    assert bucket.contents() == {f"photos/{name}": content for name, content in visible(photos).items()}


@pytest.mark.parametrize("kind", ["drop", "drop-answer", "503", "429"])
def test_an_upload_survives(bucket: Bucket, photos: Path, kind: str) -> None:
    bucket.fail(kind, bucket.WRITES, times=6)
    bucket.fail(kind, bucket.LISTS, times=1)
    assert upload(photos, bucket.uri("photos")).sent == len(PHOTOS)
    assert bucket.contents() == {f"photos/{name}": content for name, content in visible(photos).items()}
    assert all(fault.times == 0 for fault in bucket.faults)


@pytest.mark.parametrize("size", [1000, patience.SMALL + 1])
def test_damage_on_the_way_up_leaves_no_object(bucket: Bucket, tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    bucket.fail("corrupt-upload", bucket.SENDS if size == 1000 else bucket.CHUNKS)
    with pytest.raises(StorageError, match=rf"{file} did not arrive as it is .*; {bucket.uri('file')} was not kept"):
        upload(file, bucket.uri())
    assert bucket.names() == []


@pytest.mark.parametrize("size", [1000, patience.SMALL + 1])
@pytest.mark.parametrize("change", ["same size", "longer", "shorter", "gone"])
def test_a_file_that_changes_while_it_is_read_is_no_object(
    bucket: Bucket, tmp_path: Path, size: int, change: str
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "calm.jpg").write_bytes(b"calm")
    file = folder / "file.jpg"
    file.write_bytes(os.urandom(size))

    def edit() -> None:
        if change == "gone":
            file.unlink()
        else:
            file.write_bytes(os.urandom({"same size": size, "longer": size + 9, "shorter": size // 2}[change]))

    # Small: after its bytes were read. Large: after its checksum was taken, before the first chunk is read.
    calls = bucket.SENDS if size == 1000 else bucket.BEGINS
    bucket.fail("call", calls, call=edit)
    bucket.fail("call", calls, call=lambda: None)
    with pytest.raises(
        StorageError, match=rf"{file} changed while it was read; {bucket.uri('x/file.jpg')} was not kept"
    ):
        upload(folder, bucket.uri("x"))
    assert bucket.names() in (["x/calm.jpg"], [])


def test_a_bad_object_that_can_not_be_deleted_is_named(bucket: Bucket, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"before")
    bucket.fail("call", bucket.SENDS, call=lambda: file.write_bytes(b"after"))
    bucket.fail(403, "^DELETE", message="storage.objects.delete")
    with pytest.raises(StorageError, match=rf"{file} changed .*{bucket.uri('file')} is there .*storage.objects.delete"):
        upload(file, bucket.uri())


def test_every_bad_object_of_a_batch_is_deleted(bucket: Bucket, photos: Path) -> None:
    def edit() -> None:
        for name in ("ramen/1.jpg", "sushi/1.jpg"):
            (photos / name).write_bytes(b"after")

    bucket.fail("call", bucket.SENDS, times=1, call=edit)
    with pytest.raises(StorageError, match=r"ramen/1.jpg changed while it was read"):
        upload(photos, bucket.uri())
    assert not {"ramen/1.jpg", "sushi/1.jpg"} & {*bucket.names()}


def test_an_object_that_someone_else_wrote_meanwhile_is_not_touched(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"ours")
    bucket.fail("call", bucket.SENDS, call=lambda: bucket.put("file", b"theirs"))
    with pytest.raises(StorageError, match=r"was written by someone else meanwhile"):
        upload(tmp_path / "file", bucket.uri())
    assert bucket.get("file") == b"theirs"


def test_links_that_lead_nowhere_are_named(bucket: Bucket, photos: Path) -> None:
    (photos / "ramen/loop").symlink_to(photos)
    with pytest.raises(StorageError, match=r"ramen/loop is a symbolic link to a folder that holds it"):
        upload(photos, bucket.uri("x"))
    (photos / "ramen/loop").unlink()
    (photos / "ramen/broken.jpg").symlink_to("nowhere")
    with pytest.raises(StorageError, match=r"ramen/broken.jpg is neither a file nor a folder"):
        upload(photos, bucket.uri("x"))
    with pytest.raises(StorageError, match=r"Can't read .*nowhere: .*No such file"):
        upload(photos / "nowhere", bucket.uri("x"))
    (photos.parent / "empty").mkdir()
    with pytest.raises(StorageError, match=r"empty holds no files, hidden ones aside"):
        upload(photos.parent / "empty", bucket.uri("x"))
    assert bucket.names() == []


@pytest.mark.parametrize("name", ["new\nline.jpg", "latin-\udce9.jpg"])
def test_a_name_that_no_object_can_have_is_refused(bucket: Bucket, photos: Path, name: str) -> None:
    (photos / name).write_bytes(b"x")
    with pytest.raises(StorageError, match="can't be an object's name"):
        upload(photos, bucket.uri("x"))
    assert bucket.names() == []


def test_the_checksum_is_declared_before_the_bytes_are_sent(gcs: Gcs, photos: Path) -> None:
    """Cloud Storage refuses other bytes then. The server here does not, so look at the requests."""
    upload(photos, gcs.uri("photos"))
    posts = [head for request, head in zip(gcs.requests, gcs.heads, strict=True) if request.startswith("POST")]
    assert len(posts) == len(PHOTOS)
    for item in storage.listing(gcs.uri("photos")):
        assert any(item.checksum.encode() in head and json.dumps(item.name).encode() in head for head in posts)


def test_s3_is_told_the_md5_of_all_bytes(s3: S3, photos: Path) -> None:
    upload(photos, s3.uri("photos"))
    sent = [
        head
        for request, head in zip(s3.requests, s3.heads, strict=True)
        if re.search(f"{s3.SENDS}|{s3.CHUNKS}", request)
    ]
    assert len(sent) == len(PHOTOS)
    for item in storage.listing(s3.uri("photos")):
        if "-" not in str(item.version):
            md5 = base64.b64encode(bytes.fromhex(str(item.version)))
            assert any(b"Content-MD5: " + md5 in head for head in sent)


@pytest.mark.parametrize("parts", [5, 8])
def test_what_another_program_sent_in_other_parts_is_not_sent_again(s3: S3, tmp_path: Path, parts: int) -> None:
    file = tmp_path / "archive.tar"
    file.write_bytes(os.urandom(11 * 2**20))
    send_in_parts(s3, "archive.tar", file.read_bytes(), parts * 2**20)
    assert upload(file, s3.uri()) == (0, 1, 0)
    storage.download(s3.uri("archive.tar"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    s3.fail("corrupt", s3.READS)
    with pytest.raises(StorageError, match=f"{s3.uri('archive.tar')} arrived damaged"):
        storage.download(s3.uri("archive.tar"), tmp_path / "damaged")
    with file.open("r+b") as stream:
        stream.write(b"changed")
    assert upload(file, s3.uri()) == (1, 0, 0)


def send_in_parts(s3: S3, name: str, content: bytes, size: int) -> None:
    client = s3_store.client(s3.server)
    where = {"Bucket": s3.bucket, "Key": name}
    where["UploadId"] = client.create_multipart_upload(**where)["UploadId"]
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    sent = [client.upload_part(**where, PartNumber=number, Body=piece) for number, piece in enumerate(pieces, 1)]
    parts = [{"PartNumber": number, "ETag": part["ETag"]} for number, part in enumerate(sent, 1)]
    client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
