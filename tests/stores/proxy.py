"""A bucket of a real server on this machine, and a proxy before it that breaks what a network breaks."""

import http.client
import re
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

Headers = list[tuple[str, str]]


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose "METHOD url" matches."""

    kind: str  # drop, drop-answer, stall, truncate, corrupt, corrupt-upload, call; or an HTTP status with a message
    pattern: str
    times: int
    message: str
    call: Callable[[], object]


@dataclass
class Bucket(ABC):
    """A bucket behind the proxy. The patterns are those of the store's requests."""

    scheme: ClassVar[str]
    READS: ClassVar[str]  # the content of an object
    LISTS: ClassVar[str]
    WRITES: ClassVar[str]  # all of them
    SENDS: ClassVar[str]  # a small object
    BEGINS: ClassVar[str]  # sending a large one
    CHUNKS: ClassVar[str]  # a piece of it
    DELETES: ClassVar[str] = "^DELETE"

    server: str
    url: str = ""
    bucket: str = field(default_factory=lambda: f"bucket-{uuid.uuid4().hex[:8]}")
    requests: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)  # headers of the requests, and how their bodies begin
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
        return f"{self.scheme}://{self.bucket}/{name}"

    def contents(self) -> dict[str, bytes | None]:
        return {name: self.get(name) for name in self.names()}

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Behind the proxy's back, as another client would."""

    @abstractmethod
    def get(self, name: str) -> bytes | None: ...

    @abstractmethod
    def names(self) -> list[str]: ...

    @abstractmethod
    def make_bucket(self) -> None: ...

    @abstractmethod
    def refusal(self, fault: Fault) -> tuple[Headers, bytes]:
        """An error as the store words it."""

    def next_fault(self, request: str, head: bytes) -> Fault | None:
        with self.lock:
            self.requests.append(request)
            self.heads.append(head)
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.pattern, request):
                    fault.times -= 1
                    return fault
        return None


@contextmanager
def proxied(bucket: Bucket) -> Iterator[None]:
    """While it lasts, the bucket's server is at `bucket.url` too, with the faults that it is told."""
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(bucket))
    bucket.url = f"http://127.0.0.1:{proxy.server_port}"
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    with ExitStack() as closing:
        closing.callback(thread.join)
        closing.callback(proxy.server_close)
        closing.callback(proxy.shutdown)
        closing.callback(bucket.closing.set)
        yield


def _handler(bucket: Bucket) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms for the client to acknowledge its headers
        timeout = 10

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client went away
                super().handle()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            head = str(self.headers).encode("utf-8", "surrogateescape") + body[:500]
            fault = bucket.next_fault(f"{self.command} {self.path}", head)
            kind = fault.kind if fault else ""
            if kind == "stall":
                bucket.closing.wait(10)
            if kind in ("drop", "stall"):
                self.close_connection = True
                return
            if fault and kind.isdigit():
                self.give(int(kind), *bucket.refusal(fault))
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

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

        def forward(self, body: bytes) -> tuple[int, Headers, bytes]:
            connection = http.client.HTTPConnection(bucket.server.removeprefix("http://"), timeout=10)
            # S3's signature is of the host that the client named, too.
            left_out = {"expect"} if bucket.scheme == "s3" else {"expect", "host"}
            try:
                connection.putrequest(
                    self.command, self.path, skip_host="host" not in left_out, skip_accept_encoding=True
                )
                for name, value in self.headers.items():
                    if name.lower() not in left_out:
                        connection.putheader(name, value)
                connection.endheaders(body)
                response = connection.getresponse()
                # A resumable upload goes on at the address in Location; keep it on this side.
                kept = [
                    (name, value.replace(bucket.server, bucket.url))
                    for name, value in response.getheaders()
                    if name.lower() not in ("transfer-encoding", "connection")
                    and (name.lower() != "content-length" or self.command == "HEAD")
                ]
                return response.status, kept, response.read()
            finally:
                connection.close()

        def give(self, status: int, headers: Headers, content: bytes, only: int | None = None) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            if self.command == "HEAD":
                content = b""
            elif status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:only])
            if only is not None:
                self.close_connection = True

    return Handler
