"""How Kubeflow Pipelines is reached: kfp's own client, with time limits, and errors in this project's words."""

import contextlib
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kfp_server_api
import urllib3
from kfp import client as kfp_client
from kfp.client.token_credentials_base import TokenCredentialsBase

from switchpoint.command.cluster.errors import plainly
from switchpoint.command.errors import ClusterError
from switchpoint.errors import ParameterError

CONNECT, READ = 10, 60  # seconds
TEXT = "text/plain"  # asked for where the answer is no JSON: a pod's log
TAIL = 2**17  # bytes of it that are kept, from its end
RETRIES = urllib3.Retry(connect=2, read=1, redirect=5, backoff_factor=0.5, respect_retry_after_header=False)


class _TokenFile(TokenCredentialsBase):  # type: ignore[misc]
    """Reads the token anew for each request, for whoever renews it there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def refresh_api_key_hook(self, config: Any) -> None:
        """Put the token where the client looks for it."""
        config.api_key["authorization"] = self.path.read_text(encoding="utf-8").strip()


class _Client(kfp_client.Client):  # type: ignore[misc]
    """kfp's, with retries that end; its health check, which logs a traceback five times, comes later and once."""

    def _load_config(self, *arguments: Any) -> Any:
        config = super()._load_config(*arguments)
        config.retries = RETRIES
        return config

    def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:
        return kfp_server_api.V2beta1GetHealthzResponse(multi_user=False)


class Connection:
    """One Kubeflow Pipelines, and who talks to it."""

    def __init__(
        self,
        host: str | None = None,
        namespace: str | None = None,
        token: str | None = None,
        token_file: Path | None = None,
        cookies: str | None = None,
        ca_cert: Path | None = None,
    ) -> None:
        """Connect, and see that Kubeflow Pipelines answers.

        Args:
            host: Its address; without one kfp looks into the pod it runs in, then into the kubeconfig.
            namespace: For multi-user Kubeflow, the profile's.
            token: Sent as Bearer.
            token_file: The same from a file, read anew each time.
            cookies: Sent as they are, such as authservice_session=….
            ca_cert: Certificate authority of the host, when it is not a public one.

        Raises:
            ClusterError: It does not answer, or not with Kubeflow's API.
        """
        if token_file and not token_file.is_file():
            raise ParameterError(f"--token-file {token_file} is no file.")
        self.namespace = namespace
        self._logged_in = bool(token or token_file or cookies)
        with quietly():
            self.client = _Client(
                host=host,
                namespace=namespace or "kubeflow",
                existing_token=token,
                credentials=_TokenFile(token_file) if token_file else None,
                cookies=cookies,
                ssl_ca_cert=str(ca_cert) if ca_cert else None,
            )
        self.host = self.client._existing_config.host
        self._limit_requests()
        with self.plainly("reach Kubeflow Pipelines", missing="Its address ends where /apis/v2beta1 begins"):
            health = self.client._healthz_api.healthz_service_get_healthz()
        if health.multi_user and not (self.namespace or self.client.get_user_namespace()):
            raise ClusterError(
                f"{self.host} is a multi-user Kubeflow. Pass your profile's namespace: --namespace NAMESPACE."
            )

    def _limit_requests(self) -> None:
        """Give every request a time limit, and refuse a page where the API's JSON belongs."""
        rest = self.client._run_api.api_client.rest_client
        original = rest.request

        def request(method: str, url: str, *arguments: Any, **keywords: Any) -> Any:
            keywords["_request_timeout"] = (CONNECT, READ)
            response = original(method, url, *arguments, **keywords)
            if (keywords.get("headers") or {}).get("Accept") == TEXT:  # as JSON, which is what the client reads
                response.data = json.dumps(response.data[-TAIL:].decode("utf-8", "replace")).encode()
                return response
            if (response.data or b"{}").lstrip()[:1] not in (b"{", b"["):
                raise ClusterError(
                    f"{self.host} answers with a web page instead of Kubeflow's API, most likely a login page. "
                    "Pass --cookies, --token or --token-file, or the address of the API itself."
                )
            return response

        rest.request = request

    def raw(self, url: str) -> Any:
        """The answer to a GET as it comes, with the same login: a context, whose `status` says whether it is one."""
        api = self.client._run_api.api_client
        headers = dict(api.default_headers) | ({"Cookie": api.cookie} if api.cookie else {})
        api.update_params_for_auth(headers, [], ["Bearer"])
        limits = urllib3.Timeout(connect=CONNECT, read=READ)
        return contextlib.closing(
            api.rest_client.pool_manager.request(
                "GET", url, headers=headers, timeout=limits, retries=RETRIES, preload_content=False
            )
        )

    def url(self, run_id: str) -> str:
        """Where a person sees the run."""
        return f"{self.client._get_url_prefix()}/#/runs/details/{run_id}"

    def schedule_url(self, schedule_id: str) -> str:
        """Where a person sees a recurring run."""
        return f"{self.client._get_url_prefix()}/#/recurringrun/details/{schedule_id}"

    def own_namespace(self) -> str | None:
        """The profile's, on a multi-user Kubeflow."""
        return self.namespace or self.client.get_user_namespace() or None

    def plainly(self, doing: str, missing: str = "", unsure: str = "") -> contextlib.AbstractContextManager[None]:
        """See `errors.plainly`."""
        return plainly(self.host, doing, missing, unsure, logged_in=self._logged_in, namespace=self.own_namespace())


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep kfp's links and warnings off the terminal."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
