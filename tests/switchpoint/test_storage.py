import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from switchpoint import addresses, storage
from switchpoint.command.publish.export import publish
from switchpoint.command.publish.upload import upload
from switchpoint.errors import StorageError
from switchpoint.storage import client

# What google-api-core warns of when it is first imported; nothing here speaks gRPC.
pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")

READS = r"^GET /download/"
FORBIDDEN = (
    "trainer@lab.iam.gserviceaccount.com does not have {right} access to the Google Cloud Storage object. "
    "Permission '{right}' denied on resource (or it may not exist)."
)
PHOTOS = [
    "archive.tar",
    "pho/1.jpg",
    "ramen/1.jpg",
    "ramen/2 é#?%.jpg",
    "sushi/1.jpg",
    "sushi/2.jpg",
    "sushi/empty.jpg",
]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def visible(photos: Path) -> dict[str, bytes]:
    return {name: (photos / name).read_bytes() for name in PHOTOS}


def test_the_command_starts_without_google_cloud() -> None:
    code = "import sys, switchpoint.storage; sys.exit(any(name.startswith('google') for name in sys.modules))"
    # setuptools' namespace .pth files may have made an empty `google` already.
    code = code.replace(
        "name.startswith('google')", "name.startswith(('google.cloud.', 'google.auth', 'google_crc32c'))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    "uri", ["gs://", "gs://B/x", "gs:///x", "gs://-b/x", "gs://ab/x", "gs://a b/x", "s3://bucket/x", "x"]
)
def test_an_address_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(StorageError, match=re.escape(repr(uri)) + ".*gs://BUCKET/NAME"):
        addresses.parse(uri)


def test_an_address_is_a_bucket_and_a_name() -> None:
    assert addresses.parse("gs://bucket.example.org/a/b#?.tar.gz") == ("bucket.example.org", "a/b#?.tar.gz")
    assert addresses.parse("gs://bucket") == addresses.parse("gs://bucket/") == ("bucket", "")
    assert addresses.is_remote("gs://bucket/x")
    assert not addresses.is_remote("photos/gs://x")


def test_a_folder_comes_back_as_it_went(gcs: Any, photos: Path, tmp_path: Path) -> None:
    gcs.put("photos-of-others/1.jpg", b"not below photos/")
    seen: list[tuple[int, int, str]] = []
    assert upload(photos, gcs.uri("photos"), lambda *told: seen.append(told)) == (len(PHOTOS), 0, 0)
    assert sorted(gcs.names()) == sorted(["photos-of-others/1.jpg", *(f"photos/{name}" for name in PHOTOS)])
    total = sum(map(len, visible(photos).values()))
    assert max(seen)[:2] == (total, total)
    assert {name for *_, name in seen} == {f"photos/{name}" for name in PHOTOS}
    assert [item.name for item in storage.listing(gcs.uri("photos"))] == [f"photos/{name}" for name in PHOTOS]

    seen.clear()
    digest = storage.download(gcs.uri("photos/"), tmp_path / "a/b/back", lambda *told: seen.append(told))
    assert contents(tmp_path / "a/b/back") == visible(photos)
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["back"]
    assert max(seen)[:2] == (total, total)
    assert digest == storage.digest(gcs.uri("photos")) == storage.digest(gcs.uri("photos/"))


def test_a_file_comes_back_as_it_went(gcs: Any, tmp_path: Path) -> None:
    file = tmp_path / "food-101.tar.gz"
    file.write_bytes(b"photos")
    upload(file, gcs.uri("data/"))
    upload(file, gcs.uri("other-name.tar.gz"))
    assert gcs.names() == ["data/food-101.tar.gz", "other-name.tar.gz"]
    digest = storage.download(gcs.uri("data/food-101.tar.gz"), tmp_path / "back.tar.gz")
    assert (tmp_path / "back.tar.gz").read_bytes() == b"photos"
    assert digest == storage.digest(gcs.uri("data/food-101.tar.gz"))


def test_the_digest_follows_names_and_generations(gcs: Any) -> None:
    gcs.put("photos/ramen/1.jpg", b"one")
    gcs.put("photos/empty-folder/", b"")
    digests = [storage.digest(gcs.uri("photos"))]
    assert digests[0] == storage.digest(gcs.uri("photos"))
    gcs.put("photos/ramen/1.jpg", b"one")
    digests.append(storage.digest(gcs.uri("photos")))
    gcs.put("photos/ramen/2.jpg", b"two")
    digests.append(storage.digest(gcs.uri("photos")))
    assert len(set(digests)) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)


def test_the_checksum_is_declared_before_the_bytes_are_sent(gcs: Any, photos: Path) -> None:
    """Cloud Storage refuses other bytes then. The server here does not, so look at the requests."""
    upload(photos, gcs.uri("photos"))
    posts = [head for request, head in zip(gcs.requests, gcs.heads, strict=True) if request.startswith("POST")]
    assert len(posts) == len(PHOTOS)
    for item in storage.listing(gcs.uri("photos")):
        assert any(item.crc32c.encode() in head and json.dumps(item.name).encode() in head for head in posts)


def test_an_upload_sends_only_what_differs(gcs: Any, photos: Path) -> None:
    upload(photos, gcs.uri("photos"))
    before = storage.digest(gcs.uri("photos"))
    assert upload(photos, gcs.uri("photos")) == (0, len(PHOTOS), 0)
    assert storage.digest(gcs.uri("photos")) == before
    (photos / "ramen/1.jpg").write_bytes(b"another")
    (photos / "archive.tar").write_bytes(b"another")
    (photos / "sushi/1.jpg").unlink()
    assert upload(photos, gcs.uri("photos")) == (2, len(PHOTOS) - 3, 1)
    assert gcs.get("photos/ramen/1.jpg") == gcs.get("photos/archive.tar") == b"another"


def test_an_interrupted_upload_goes_on(gcs: Any, photos: Path) -> None:
    gcs.fail("call", "POST.*multipart", times=2)
    gcs.fail(400, "POST.*multipart", message="Interrupted.")
    with pytest.raises(StorageError, match=r"Can't write gs://.*photos.*Interrupted\."):
        upload(photos, gcs.uri("photos"))
    assert len(gcs.names()) == len(PHOTOS) - 1
    assert upload(photos, gcs.uri("photos")) == (1, len(PHOTOS) - 1, 0)
    assert contents_of(gcs) == {f"photos/{name}": content for name, content in visible(photos).items()}


def contents_of(gcs: Any) -> dict[str, bytes | None]:
    return {name: gcs.get(name) for name in gcs.names()}


@pytest.mark.parametrize("kind", ["drop", "drop-answer", "503", "429"])
def test_an_upload_survives(gcs: Any, photos: Path, kind: str) -> None:
    gcs.fail(kind, "^(POST|PUT) ", times=6)
    gcs.fail(kind, "^GET .*/o[?]", times=1)
    assert upload(photos, gcs.uri("photos")).sent == len(PHOTOS)
    assert contents_of(gcs) == {f"photos/{name}": content for name, content in visible(photos).items()}
    assert all(fault.times == 0 for fault in gcs.faults)


@pytest.mark.parametrize("kind", ["drop", "drop-answer", "503", "truncate"])
def test_a_download_survives(gcs: Any, photos: Path, tmp_path: Path, kind: str) -> None:
    for name, content in visible(photos).items():
        gcs.put(f"photos/{name}", content)
    gcs.fail(kind, READS, times=4)
    gcs.fail(kind, "^GET .*/o[?]", times=1)
    gcs.fail(kind, f"{READS}.*archive", times=2)
    storage.download(gcs.uri("photos"), tmp_path / "back")
    assert contents(tmp_path / "back") == visible(photos)
    assert all(fault.times == 0 for fault in gcs.faults)


@pytest.mark.parametrize("name", ["1.jpg", "archive.tar"])
def test_damage_after_a_resumed_download_is_found(gcs: Any, tmp_path: Path, name: str) -> None:
    """The library itself compares no checksum after it resumed."""
    gcs.put(name, os.urandom(9 * 2**20 if name == "archive.tar" else 1000))
    gcs.fail("truncate", READS)
    gcs.fail("corrupt", READS)
    with pytest.raises(StorageError, match=f"{gcs.uri(name)} arrived damaged"):
        storage.download(gcs.uri(name), tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_photo_leaves_nothing_behind(gcs: Any, tmp_path: Path) -> None:
    for number in range(20):
        gcs.put(f"photos/{number}.jpg", b"photo")
    gcs.fail("corrupt", f"{READS}.*%2F7.jpg")
    with pytest.raises(StorageError, match=f"{gcs.uri('photos/7.jpg')} arrived damaged"):
        storage.download(gcs.uri("photos"), tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [1000, client.SMALL + 1])
def test_damage_on_the_way_up_leaves_no_object(gcs: Any, tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    gcs.fail("corrupt-upload", "POST.*multipart" if size == 1000 else "^PUT")
    with pytest.raises(StorageError, match=rf"{file} did not arrive as it is .*; {gcs.uri('file')} was not kept"):
        upload(file, gcs.uri())
    assert gcs.names() == []


@pytest.mark.parametrize("size", [1000, client.SMALL + 1])
@pytest.mark.parametrize("change", ["same size", "longer", "shorter", "gone"])
def test_a_file_that_changes_while_it_is_read_is_no_object(gcs: Any, tmp_path: Path, size: int, change: str) -> None:
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
    calls = "POST.*multipart" if size == 1000 else "POST.*resumable"
    gcs.fail("call", calls, call=edit)
    gcs.fail("call", calls, call=lambda: None)
    with pytest.raises(StorageError, match=rf"{file} changed while it was read; {gcs.uri('x/file.jpg')} was not kept"):
        upload(folder, gcs.uri("x"))
    assert gcs.names() in (["x/calm.jpg"], [])


def test_a_bad_object_that_can_not_be_deleted_is_named(gcs: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"before")
    gcs.fail("call", "POST.*multipart", call=lambda: file.write_bytes(b"after"))
    gcs.fail(403, "^DELETE", message=FORBIDDEN.format(right="storage.objects.delete"))
    with pytest.raises(StorageError, match=rf"{file} changed .*{gcs.uri('file')} is there .*storage.objects.delete"):
        upload(file, gcs.uri())


def test_every_bad_object_of_a_batch_is_deleted(gcs: Any, photos: Path) -> None:
    def edit() -> None:
        for name in ("ramen/1.jpg", "sushi/1.jpg"):
            (photos / name).write_bytes(b"after")

    gcs.fail("call", "POST.*multipart", times=1, call=edit)
    with pytest.raises(StorageError, match=r"ramen/1.jpg changed while it was read"):
        upload(photos, gcs.uri())
    assert not {"ramen/1.jpg", "sushi/1.jpg"} & {*gcs.names()}


def test_an_object_that_changes_while_it_is_read_is_an_error(gcs: Any, tmp_path: Path) -> None:
    gcs.put("photos/1.jpg", b"old")
    gcs.fail("call", READS, call=lambda: gcs.put("photos/1.jpg", b"new"))
    with pytest.raises(StorageError, match=rf"{gcs.uri('photos/1.jpg')}. It was replaced or deleted meanwhile"):
        storage.download(gcs.uri("photos"), tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_someone_else_wrote_meanwhile_is_not_touched(gcs: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"ours")
    gcs.fail("call", "POST.*multipart", call=lambda: gcs.put("file", b"theirs"))
    with pytest.raises(StorageError, match=r"was written by someone else meanwhile"):
        upload(tmp_path / "file", gcs.uri())
    assert gcs.get("file") == b"theirs"


@pytest.mark.parametrize("kind", ["503", "drop", "stall"])
@pytest.mark.parametrize("what", ["list", "download", "upload", "write_json"])
def test_a_server_that_stays_away_is_given_up_soon(
    gcs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, what: str
) -> None:
    monkeypatch.setattr(client, "DEADLINE", 1.0)
    gcs.put("x/1.jpg", b"1")
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number}.jpg").write_bytes(b"photo")
    gcs.fail(kind, {"list": "", "download": READS}.get(what, "^(POST|PUT) "), times=10**6, message="Down.")
    started = time.monotonic()
    with pytest.raises(StorageError, match=r"gs://bucket-\w+.*: no progress for 1 seconds in spite of retries"):
        {
            "list": lambda: storage.digest(gcs.uri("x")),
            "download": lambda: storage.download(gcs.uri("x"), tmp_path / "back"),
            "upload": lambda: upload(folder, gcs.uri("y")),
            "write_json": lambda: storage.write_json(gcs.uri("z.json"), 1),
        }[what]()
    assert time.monotonic() - started < 10
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert gcs.names() == ["x/1.jpg"]


@pytest.mark.parametrize(
    ("what", "right", "role"),
    [
        ("list", "storage.objects.list", "objectViewer"),
        ("download", "storage.objects.get", "objectViewer"),
        ("upload", "storage.objects.create", "objectUser"),
    ],
)
@pytest.mark.parametrize("says", [FORBIDDEN, "No."])
def test_a_missing_right_is_named(gcs: Any, tmp_path: Path, what: str, right: str, role: str, says: str) -> None:
    gcs.put("x/1.jpg", b"1")
    (tmp_path / "1.jpg").write_bytes(b"1")
    pattern = {"list": "^GET .*/o[?]", "download": READS, "upload": "^POST"}[what]
    gcs.fail(403, pattern, times=100, message=says.format(right=right))
    with pytest.raises(StorageError) as caught:
        {
            "list": lambda: storage.digest(gcs.uri("x")),
            "download": lambda: storage.download(gcs.uri("x"), tmp_path / "back"),
            "upload": lambda: upload(tmp_path / "1.jpg", gcs.uri("y/")),
        }[what]()
    assert f"that needs the permission {right}, which roles/storage.{role} on the bucket gives" in str(caught.value)
    caller = "trainer@lab.iam.gserviceaccount.com" if says is FORBIDDEN else "The caller"
    assert str(caught.value).startswith(f"{caller} may not ")
    assert [path.name for path in tmp_path.iterdir()] == ["1.jpg"]


def test_a_bucket_that_does_not_exist_is_said(gcs: Any, tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"1")
    for act in (
        lambda: storage.digest("gs://no-such-bucket/x"),
        lambda: storage.download("gs://no-such-bucket/x", tmp_path / "back"),
        lambda: upload(tmp_path / "1.jpg", "gs://no-such-bucket/x"),
        lambda: storage.write_json("gs://no-such-bucket/x.json", 1),
    ):
        with pytest.raises(StorageError, match=r"Can't \w+ gs://no-such-bucket/x\S*\. The bucket does not exist"):
            act()


def test_no_object_is_said(gcs: Any, tmp_path: Path) -> None:
    assert storage.listing(gcs.uri("x")) == []
    for act in (lambda: storage.digest(gcs.uri("x")), lambda: storage.download(gcs.uri("x"), tmp_path / "back")):
        with pytest.raises(StorageError, match=f"There is no object {gcs.uri('x')} and none below it"):
            act()


@pytest.mark.parametrize("where", ["nowhere", "a missing file"])
def test_no_credentials_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    if where == "a missing file":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    client.cloud_storage.cache_clear()
    with pytest.raises(StorageError, match=r"no valid Google credentials .*gcloud auth application-default login"):
        storage.digest("gs://bucket/x")


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "a//b", "./a", "a/.."])
def test_a_name_that_leaves_the_destination_is_refused(gcs: Any, tmp_path: Path, name: str) -> None:
    gcs.put("photos/a.jpg", b"good")
    gcs.put(f"photos/{name}", b"evil")
    (tmp_path / "in").mkdir()
    with pytest.raises(StorageError, match="can't be a file below the destination"):
        storage.download(gcs.uri("photos"), tmp_path / "in/back")
    assert list((tmp_path / "in").iterdir()) == []


def test_names_that_no_file_system_can_hold_together_leave_nothing(gcs: Any, tmp_path: Path) -> None:
    gcs.put("photos/a", b"file")
    gcs.put("photos/a/b", b"in a folder of that name")
    with pytest.raises(StorageError, match="Can't read gs://"):
        storage.download(gcs.uri("photos"), tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


def test_what_is_at_the_destination_stays(gcs: Any, tmp_path: Path) -> None:
    gcs.put("photos/a", b"new")
    (tmp_path / "back").mkdir()
    storage.download(gcs.uri("photos"), tmp_path / "back")
    with pytest.raises(StorageError, match="exists and is not an empty folder"):
        storage.download(gcs.uri("photos"), tmp_path / "back")
    assert contents(tmp_path) == {"back/a": b"new"}


def test_links_that_lead_nowhere_are_named(gcs: Any, photos: Path) -> None:
    (photos / "ramen/loop").symlink_to(photos)
    with pytest.raises(StorageError, match=r"ramen/loop is a symbolic link to a folder that holds it"):
        upload(photos, gcs.uri("x"))
    (photos / "ramen/loop").unlink()
    (photos / "ramen/broken.jpg").symlink_to("nowhere")
    with pytest.raises(StorageError, match=r"ramen/broken.jpg is neither a file nor a folder"):
        upload(photos, gcs.uri("x"))
    with pytest.raises(StorageError, match=r"Can't read .*nowhere: .*No such file"):
        upload(photos / "nowhere", gcs.uri("x"))
    (photos.parent / "empty").mkdir()
    with pytest.raises(StorageError, match=r"empty holds no files, hidden ones aside"):
        upload(photos.parent / "empty", gcs.uri("x"))
    assert gcs.names() == []


@pytest.mark.parametrize("name", ["new\nline.jpg", "latin-\udce9.jpg"])
def test_a_name_that_no_object_can_have_is_refused(gcs: Any, photos: Path, name: str) -> None:
    (photos / name).write_bytes(b"x")
    with pytest.raises(StorageError, match="can't be an object's name"):
        upload(photos, gcs.uri("x"))
    assert gcs.names() == []


def test_json_is_written_over_the_generation_that_was_read(gcs: Any) -> None:
    uri = gcs.uri("pointer.json")
    assert storage.read_json(uri) == (None, 0)
    storage.write_json(uri, {"version": "1"}, 0)
    value, generation = storage.read_json(uri)
    assert value == {"version": "1"}
    with pytest.raises(StorageError, match=f"Can't write {uri}: someone else wrote it meanwhile"):
        storage.write_json(uri, {"version": "mine"}, 0)
    gcs.fail("drop-answer", "^POST")  # it was written, though the answer is lost: the retry meets its own generation
    storage.write_json(uri, {"version": "2"}, generation)
    assert storage.read_json(uri)[0] == {"version": "2"}
    gcs.put("pointer.json", b"{half")
    with pytest.raises(StorageError, match="is not JSON"):
        storage.read_json(uri)


@pytest.fixture
def model(tmp_path: Path) -> dict[str, Path]:
    for name in ("model.keras", "class_names.json"):
        (tmp_path / name).write_bytes(name.encode())
    return {name: tmp_path / name for name in ("model.keras", "class_names.json")}


def test_the_pointer_moves_last(gcs: Any, model: dict[str, Path]) -> None:
    uri = gcs.uri("models/food")
    pointer = publish(model, "# Card", uri, "v1")
    names = ["README.md", "class_names.json", "model.keras"]
    assert gcs.names() == sorted(["models/food/latest.json", *(f"models/food/v1/{name}" for name in names)])
    assert storage.read_json(f"{uri}/latest.json")[0] == pointer
    assert sorted(pointer["files"]) == names
    assert pointer["version"] == "v1"
    assert gcs.get("models/food/v1/README.md") == b"# Card"
    writes = [request for request in gcs.requests if request.startswith("POST")]
    assert len(writes) == 4

    model["model.keras"].write_bytes(b"better")
    for broken in range(4):
        with pytest.raises(StorageError):
            publish_with_failure(gcs, model, uri, f"v2-{broken}", broken)
        assert storage.read_json(f"{uri}/latest.json")[0] == pointer
    gcs.faults.clear()
    publish(model, "# Card", f"{uri}/", "v2-0")
    assert storage.read_json(f"{uri}/latest.json")[0]["version"] == "v2-0"


def publish_with_failure(gcs: Any, model: dict[str, Path], uri: str, version: str, after: int) -> None:
    gcs.faults.clear()
    gcs.fail("call", "^POST", times=after)
    gcs.fail(403, "^POST", times=100)
    publish(model, "# Card", uri, version)


def test_a_version_never_changes(gcs: Any, model: dict[str, Path]) -> None:
    uri = gcs.uri("models/food")
    pointer = publish(model, "# Card", uri, "v1")
    assert publish(model, "# Card", uri, "v1") == pointer
    model["model.keras"].write_bytes(b"other")
    with pytest.raises(StorageError, match=r"v1/model.keras exists with other content and is not replaced"):
        publish(model, "# Card", uri, "v1")
    assert gcs.get("models/food/v1/model.keras") == b"model.keras"
    with pytest.raises(StorageError, match=r"The version is '\.\./v2'"):
        publish(model, "# Card", uri, "../v2")


def test_of_two_that_publish_at_once_one_is_told(gcs: Any, model: dict[str, Path]) -> None:
    uri = gcs.uri("models/food")
    gcs.fail("call", "POST.*ifGenerationMatch=0", times=3)
    gcs.fail("call", "POST", call=lambda: gcs.put("models/food/latest.json", b'{"version": "theirs"}'))
    with pytest.raises(StorageError, match=r"latest.json: someone else wrote it meanwhile"):
        publish(model, "# Card", uri, "ours")
    assert storage.read_json(f"{uri}/latest.json")[0] == {"version": "theirs"}


def test_progress_is_told_by_one_thread_at_a_time(gcs: Any, tmp_path: Path) -> None:
    for number in range(30):
        gcs.put(f"photos/{number}.jpg", os.urandom(20000))
    busy = threading.Lock()
    done: list[int] = []

    def progress(count: int, total: int, name: str) -> None:
        assert busy.acquire(blocking=False)
        done.append(count)
        assert total == 30 * 20000
        busy.release()

    storage.download(gcs.uri("photos"), tmp_path / "back", progress)
    assert done == sorted(done)
    assert done[-1] == 30 * 20000
