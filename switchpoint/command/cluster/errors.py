"""What Kubeflow Pipelines, or the way to it, refuses, in this project's words: what, where, what to do."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import kfp_server_api
import urllib3

from switchpoint.command.errors import ClusterError


class PassingError(ClusterError):
    """What may be over in a minute: no answer, or the server's own failure."""


@contextlib.contextmanager
def plainly(
    host: str, doing: str, missing: str = "", unsure: str = "", *, logged_in: bool = False, namespace: str | None = None
) -> Iterator[None]:
    """Turn what the client raises into a `ClusterError`.

    Args:
        host: Who is asked.
        doing: What for: "Can't {doing} at {host}".
        missing: What a 404 means here.
        unsure: What to look at first when it may have been done although no answer came.
        logged_in: Whether a token or cookie was sent.
        namespace: Which one was asked for.
    """
    where, hint = f"Can't {doing} at {host}", f" {unsure}." if unsure else ""
    try:
        yield
    except ClusterError:
        raise
    except kfp_server_api.ApiException as error:
        said = _said(error)
        match error.status:
            case None | 0:
                raise PassingError(f"{where}: {error.reason}") from error
            case status if status >= 500 or status == 429:
                raise PassingError(
                    f"{where}: it answers {status} {said}.{hint} If that lasts, look at its log: "
                    "kubectl -n kubeflow logs deployment/ml-pipeline"
                ) from error
            case 401 if logged_in:
                do = "It refused the login given: the token or cookie has expired or is for another host."
            case 401:
                do = "It asks for a login: pass --token, --token-file or --cookies."
            case 403:
                do = (
                    f"You may not do that{f' in namespace {namespace}' if namespace else ''}. Check --namespace, or "
                    "ask for the role kubeflow-edit there."
                )
            case 404:
                do = f"{missing or 'There is no such thing, or no Kubeflow Pipelines at this address'}."
            case 409:
                do = "Something of that name is there already and is not this one. Try again."
            case 400:
                do = "It does not accept what was sent."
            case status:
                do = f"It answers {status}."
        raise ClusterError(f"{where}. {do}{f' It said: {said}' if said else ''}") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise PassingError(
            f"Can't {doing}: {host} does not answer ({_cause(error)}).{hint} Check --host; on a cluster without an "
            "ingress: kubectl -n kubeflow port-forward svc/ml-pipeline-ui 8080:80, then --host http://localhost:8080"
        ) from error


def _said(error: Any) -> str:
    """The server's own words, from either of the two shapes its errors have."""
    try:
        body = json.loads(error.body)
        text = body.get("error_message") or body.get("message") or body.get("error") or ""
    except (TypeError, ValueError, AttributeError):
        text = error.reason or ""
    lines = str(text).strip().splitlines()
    return lines[0][:500] if lines else ""


def _cause(error: BaseException) -> str:
    cause = getattr(error, "reason", None) or error
    return re.sub(r"^.*?object at 0x[0-9a-f]+>: ", "", str(cause))
