import pytest

from switchpoint import storage
from switchpoint.errors import StorageError
from tests.stores.proxy import Bucket

# What google-api-core warns of when it is first imported; nothing here speaks gRPC.
pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")


def test_json_is_written_over_the_version_that_was_read(bucket: Bucket) -> None:
    uri = bucket.uri("pointer.json")
    assert storage.read_json(uri) == (None, storage.NONE)
    storage.write_json(uri, {"version": "1"}, storage.NONE)
    value, version = storage.read_json(uri)
    assert value == {"version": "1"}
    with pytest.raises(StorageError, match=f"Can't write {uri}: someone else wrote it meanwhile"):
        storage.write_json(uri, {"version": "mine"}, storage.NONE)
    bucket.fail(
        "drop-answer", bucket.WRITES
    )  # it was written, though the answer is lost: the retry meets its own version
    storage.write_json(uri, {"version": "2"}, version)
    assert storage.read_json(uri)[0] == {"version": "2"}
    bucket.put("pointer.json", b"{half")
    with pytest.raises(StorageError, match="is not JSON"):
        storage.read_json(uri)
