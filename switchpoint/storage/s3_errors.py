"""What boto3 raises, in this project's words: what, where, what to do."""

from __future__ import annotations

import datetime
import email.utils
from typing import Any

from switchpoint.errors import LostError, StorageError
from switchpoint.storage.store import ConflictError

RIGHTS = {"list": "s3:ListBucket", "read": "s3:GetObject", "write": "s3:PutObject", "delete": "s3:DeleteObject"}
FORWARD = (
    "Of a default Kubeflow's store: kubectl -n kubeflow port-forward svc/seaweedfs 9000:9000 (minio-service in older "
    "ones), then AWS_ENDPOINT_URL=http://localhost:9000"
)
LOGIN = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; a default Kubeflow has them in the secret "
    "mlpipeline-minio-artifact (accesskey, secretkey), a pod in its environment or by its service account."
)
_PASSING = {"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "ConditionalRequestConflict"}
_CREDENTIALS = {
    "InvalidAccessKeyId": "it does not know this access key",
    "SignatureDoesNotMatch": "the secret key is not the access key's",
    "ExpiredToken": "the session has expired",
    "InvalidToken": "the session token is not valid",
    "TokenRefreshRequired": "the session has expired",
}
_REGION = {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}


def code(error: BaseException) -> str:
    """S3's name of an error, "" when it is not S3's."""
    answer = getattr(error, "response", None)
    return str((answer.get("Error") or {}).get("Code", "")) if isinstance(answer, dict) else ""


def status(error: BaseException) -> int:
    """The status of the answer, 0 when there was none."""
    answer = getattr(error, "response", None)
    return int((answer.get("ResponseMetadata") or {}).get("HTTPStatusCode", 0)) if isinstance(answer, dict) else 0


def passes(error: Exception) -> bool:
    """Whether it may be over in a minute: the server's own failure, a connection that broke, half an answer."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    if isinstance(error, boto.ClientError):
        # 501 is for good: the store does not know what it was asked for.
        return (status(error) >= 500 and status(error) != 501) or status(error) == 429 or code(error) in _PASSING
    if isinstance(error, (boto.SSLError, boto.ProxyConnectionError)):
        return False
    return isinstance(
        error, (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError, ResponseParserError)
    )


def unreached(error: Exception) -> bool:
    """Whether no connection was made: a wrong endpoint looks so, and a server that is away."""
    from botocore import exceptions as boto

    return isinstance(error, (boto.EndpointConnectionError, boto.ConnectTimeoutError))


def said(error: Exception, doing: str, uri: str, missing: str, endpoint: str) -> StorageError:
    """The error to raise in place of one of boto3's."""
    from botocore import exceptions as boto

    where = f"Can't {doing} {uri}"
    if isinstance(error, boto.ClientError):
        return _refused(error, doing, uri, missing, endpoint)
    credentials = (
        boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError, boto.ProfileNotFound,
        boto.TokenRetrievalError, boto.SSOError,
    )  # fmt: skip
    if isinstance(error, credentials):
        return StorageError(f"{where}: no credentials for S3 ({_plain(error)}). {LOGIN}")
    if isinstance(error, boto.NoRegionError):
        return StorageError(f"{where}: no region. Set AWS_REGION.")
    if isinstance(error, boto.FlexibleChecksumError):
        return LostError(f"{uri} arrived damaged: {_plain(error)}. Download it again.")
    if isinstance(error, ValueError) and "endpoint" in str(error).lower():
        return StorageError(f"{where}: {error}. AWS_ENDPOINT_URL is an address such as http://localhost:9000.")
    # Damaged answers, certificates, files that can't be read or written.
    return StorageError(f"{where}: {_plain(error)}")


def _refused(error: Any, doing: str, uri: str, missing: str, endpoint: str) -> StorageError:
    where, name, words = f"Can't {doing} {uri}", code(error), error.response["Error"].get("Message", "")
    if name in ("PreconditionFailed", "ConditionalRequestConflict") or status(error) == 412:
        if doing == "read":
            return StorageError(f"{where}. {missing}.")
        return ConflictError(f"{where}: someone else wrote it meanwhile. Try again.")
    if name == "RequestTimeTooSkewed":
        return StorageError(f"{where}: this machine's clock is {_skew(error)} {endpoint}'s. Set it.")
    if name in _CREDENTIALS:
        return StorageError(f"{where}: {endpoint} refuses the credentials: {_CREDENTIALS[name]}. {LOGIN}")
    if name in _REGION:
        return StorageError(f"{where}: the bucket is in another region than was asked for ({words}). Set AWS_REGION.")
    if status(error) == 403:
        return StorageError(
            f"The caller may not {doing} {uri}: that needs the right {RIGHTS.get(doing, doing)} on the bucket. "
            f"{endpoint} said: {words}"
        )
    if name in ("NoSuchBucket", "NoSuchKey") or status(error) == 404:
        # Of a write on condition that an object is there, NoSuchKey says that it is gone.
        if name == "NoSuchKey" and doing == "write":
            return ConflictError(f"{where}: someone else deleted it meanwhile. Try again.")
        return StorageError(f"{where}. {missing} ({endpoint}).")  # perhaps it is another store's
    return StorageError(f"{where}: {endpoint} said: {words or name} ({name})")


def _skew(error: Any) -> str:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        there = email.utils.parsedate_to_datetime(headers["date"])
    except (LookupError, TypeError, ValueError):
        return "not that of"
    minutes = (datetime.datetime.now(datetime.UTC) - there).total_seconds() / 60
    return f"{abs(minutes):.0f} minutes {'ahead of' if minutes > 0 else 'behind'}"


def _plain(error: Exception) -> str:
    return str(error).rstrip(". ")
