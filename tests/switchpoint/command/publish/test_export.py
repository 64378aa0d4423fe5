import re
from pathlib import Path

import pytest

from switchpoint import storage
from switchpoint.command.publish.export import publish
from switchpoint.errors import StorageError
from tests.stores.proxy import Bucket

# What google-api-core warns of when it is first imported; nothing here speaks gRPC.
pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")


@pytest.fixture
def model(tmp_path: Path) -> dict[str, Path]:
    for name in ("model.keras", "class_names.json"):
        (tmp_path / name).write_bytes(name.encode())
    return {name: tmp_path / name for name in ("model.keras", "class_names.json")}


def test_the_pointer_moves_last(bucket: Bucket, model: dict[str, Path]) -> None:
    uri = bucket.uri("models/food")
    pointer = publish(model, "# Card", uri, "v1")
    names = ["README.md", "class_names.json", "model.keras"]
    assert bucket.names() == sorted(["models/food/latest.json", *(f"models/food/v1/{name}" for name in names)])
    assert storage.read_json(f"{uri}/latest.json")[0] == pointer
    assert sorted(pointer["files"]) == names
    assert pointer["version"] == "v1"
    assert bucket.get("models/food/v1/README.md") == b"# Card"
    writes = [request for request in bucket.requests if re.match(bucket.WRITES, request)]
    assert len(writes) == 4

    model["model.keras"].write_bytes(b"better")
    for broken in range(4):
        with pytest.raises(StorageError):
            publish_with_failure(bucket, model, uri, f"v2-{broken}", broken)
        assert storage.read_json(f"{uri}/latest.json")[0] == pointer
    bucket.faults.clear()
    publish(model, "# Card", f"{uri}/", "v2-0")
    assert storage.read_json(f"{uri}/latest.json")[0]["version"] == "v2-0"


def publish_with_failure(bucket: Bucket, model: dict[str, Path], uri: str, version: str, after: int) -> None:
    bucket.faults.clear()
    bucket.fail("call", bucket.WRITES, times=after)
    bucket.fail(403, bucket.WRITES, times=100)
    publish(model, "# Card", uri, version)


def test_a_version_never_changes(bucket: Bucket, model: dict[str, Path]) -> None:
    uri = bucket.uri("models/food")
    pointer = publish(model, "# Card", uri, "v1")
    assert publish(model, "# Card", uri, "v1") == pointer
    model["model.keras"].write_bytes(b"other")
    with pytest.raises(StorageError, match=r"v1/model.keras exists with other content and is not replaced"):
        publish(model, "# Card", uri, "v1")
    assert bucket.get("models/food/v1/model.keras") == b"model.keras"
    with pytest.raises(StorageError, match=r"The version is '\.\./v2'"):
        publish(model, "# Card", uri, "../v2")


def test_of_two_that_publish_at_once_one_is_told(bucket: Bucket, model: dict[str, Path]) -> None:
    uri = bucket.uri("models/food")
    bucket.fail("call", bucket.WRITES, times=3)
    bucket.fail("call", bucket.WRITES, call=lambda: bucket.put("models/food/latest.json", b'{"version": "theirs"}'))
    with pytest.raises(StorageError, match=r"latest.json: someone else wrote it meanwhile"):
        publish(model, "# Card", uri, "ours")
    assert storage.read_json(f"{uri}/latest.json")[0] == {"version": "theirs"}
