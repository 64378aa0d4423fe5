"""Which store an address of S3's kind is in, and boto3's client for it.

Endpoint, region and credentials come from where the ecosystem's tools take them: AWS_ENDPOINT_URL(_S3), AWS_REGION,
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, a pod's service account. minio://, a Kubeflow's own store, may
be another one than that of s3://: then `MINIO`_ENDPOINT_URL and the like say where it is. And a cluster may have said
where one bucket is (`tell`). Why boto3: docs/adr/0012.
"""

import os
from typing import Any, NamedTuple

from switchpoint.addresses import place, scheme
from switchpoint.errors import StorageError
from switchpoint.storage import s3_errors
from switchpoint.storage.patience import WORKERS, timeout

MINIO = "SWITCHPOINT_MINIO"


class Access(NamedTuple):
    """How one store is reached; "": as boto3 finds it."""

    endpoint: str = ""
    region: str = ""
    key: str = ""
    secret: str = ""


_told: dict[str, Access] = {}  # by scheme and bucket
_clients: dict[Access | None, Any] = {}


def tell(uri: str, access: Access) -> None:
    """From now on the bucket of an address is reached so."""
    _told[place(uri)] = access


def is_told(uri: str) -> bool:
    """Whether it is known of the address's own store where that is, whatever AWS_ variables say."""
    return _access(uri) is not None


def client(uri: str) -> Any:
    """boto3's for the store of an address, one for each store in a process.

    Raises:
        StorageError: The address can't be reached with it.
    """
    access = _access(uri)
    found = _clients.get(access) or _clients.setdefault(access, _made(access))
    if scheme(uri) == "minio" and access is None and found.meta.endpoint_url.endswith("amazonaws.com"):
        raise StorageError(
            f"{uri} is in a store of a Kubeflow, and it is not said where that is: set AWS_ENDPOINT_URL, or "
            f"{MINIO}_ENDPOINT_URL where s3:// is another store. {s3_errors.FORWARD}"
        )
    return found


def endpoint(uri: str) -> str:
    """The address of the store of an address, for an error."""
    try:
        return str(client(uri).meta.endpoint_url)
    except Exception:  # a profile that is not there, an endpoint that is no address: the error itself says it
        return "S3"


def forget() -> None:
    """Close all clients and forget what was told: the environment has changed."""
    while _clients:
        _clients.popitem()[1].close()
    _told.clear()


def _access(uri: str) -> Access | None:
    """What is known of the address's own store; None: the AWS tools' settings hold."""
    if found := _told.get(place(uri)):
        return found
    if scheme(uri) != "minio" or not os.environ.get(f"{MINIO}_ENDPOINT_URL"):
        return None
    names = ("ENDPOINT_URL", "REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    return Access(*(os.environ.get(f"{MINIO}_{name}", "") for name in names))


def _made(access: Access | None) -> Any:
    """Retries are ours: boto3's own would count a deadline for each request."""
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"total_max_attempts": 1},
        connect_timeout=min(10.0, timeout()),
        read_timeout=timeout(),
        max_pool_connections=WORKERS + 2,
        # Writes declare an MD5, which all of them know; reads are checked by ETag, and by what else the answer has.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_supported",
        ignore_configured_endpoint_urls=access is not None,
    )
    access = access or Access()
    # boto3 itself reads AWS_DEFAULT_REGION alone; the other tools AWS_REGION.
    session = boto3.session.Session(region_name=access.region or os.environ.get("AWS_REGION") or None)
    return session.client(
        "s3",
        config=config,
        endpoint_url=access.endpoint or None,
        aws_access_key_id=access.key or None,
        aws_secret_access_key=access.secret or None,
    )
