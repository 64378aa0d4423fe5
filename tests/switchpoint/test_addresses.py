import re

import pytest

from switchpoint import addresses
from switchpoint.errors import StorageError


@pytest.mark.parametrize(
    "uri",
    [
        "gs://",
        "gs://B/x",
        "gs:///x",
        "gs://-b/x",
        "gs://ab/x",
        "gs://a b/x",
        "az://bucket/x",
        "s3://B/x",
        "minio:///x",
        "x",
    ],
)
def test_an_address_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(StorageError, match=re.escape(repr(uri)) + ".*gs:// or s3://BUCKET/NAME"):
        addresses.parse(uri)


def test_an_address_is_a_bucket_and_a_name() -> None:
    assert addresses.parse("gs://bucket.example.org/a/b#?.tar.gz") == ("bucket.example.org", "a/b#?.tar.gz")
    assert addresses.parse("gs://bucket") == addresses.parse("gs://bucket/") == ("bucket", "")
    assert addresses.parse("s3://bucket/a/b") == addresses.parse("minio://bucket/a/b") == ("bucket", "a/b")
    assert addresses.place("minio://bucket/a/b") == "minio://bucket"
    assert all(addresses.is_remote(f"{scheme}://bucket/x") for scheme in addresses.STORES)
    assert not addresses.is_remote("photos/gs://x")
