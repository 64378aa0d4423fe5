"""The store's settings as a cluster has them: a Kubernetes API on the loopback, with a ConfigMap and a secret."""

import base64
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from switchpoint.command import podstore
from switchpoint.command.cluster import launcher
from tests.kfp_server import Server
from tests.stores import s3 as s3_store
from tests.stores.s3 import S3
from tests.switchpoint.command.cluster.cases import ENDED, Submit
from tests.switchpoint.command.cluster.test_results import publish

CONFIG_MAP = "/api/v1/namespaces/kubeflow/configmaps/kfp-launcher"
SECRET = "/api/v1/namespaces/kubeflow/secrets/keys"


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, str]]]:
    """What it answers, by path: `data` of each; anything else is forbidden. kubectl's kubeconfig names it."""
    held: dict[str, dict[str, str]] = {}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200 if self.path in held else 403)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps({"data": held.get(self.path, {})}).encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    kubeconfig = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "me", "user": {"token": "t"}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    from kubernetes.config import kube_config

    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    yield held
    server.shutdown()
    server.server_close()


def providers(s3: S3) -> str:
    reference = {"secretName": "keys", "accessKeyKey": "key", "secretKeyKey": "secret"}
    default = {"endpoint": s3.url.removeprefix("http://"), "disableSSL": True, "region": "lab"}
    return yaml.safe_dump({"s3": {"default": default | {"credentials": {"fromEnv": False, "secretRef": reference}}}})


def keys() -> dict[str, str]:
    pairs = {"key": s3_store.ACCESS_KEY, "secret": s3_store.SECRET_KEY}
    return {name: base64.b64encode(value.encode()).decode() for name, value in pairs.items()}


def test_the_launchers_settings_become_the_commands(kubernetes: dict[str, dict[str, str]], s3: S3) -> None:
    kubernetes[CONFIG_MAP], kubernetes[SECRET] = {"providers": providers(s3)}, keys()
    assert launcher.access("s3://bucket/x", "kubeflow") == (s3.url, "lab", s3_store.ACCESS_KEY, s3_store.SECRET_KEY)
    assert launcher.access("gs://bucket/x", "kubeflow") is None


SECRET_OF = {"secretName": "keys", "accessKeyKey": "key", "secretKeyKey": "secret"}
OF_DEFAULT = {"endpoint": "store:9000", "region": "lab", "disableSSL": True, "credentials": {"secretRef": SECRET_OF}}
FROM_ENVIRONMENT = {"credentials": {"fromEnv": True}}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        # An override has credentials of its own, and of the rest the default's where it says nothing.
        ([FROM_ENVIRONMENT], ("http://store:9000", "lab", None)),
        ([FROM_ENVIRONMENT | {"region": "other", "disableSSL": False}], ("https://store:9000", "other", None)),
        # The first whose prefix fits.
        ([FROM_ENVIRONMENT | {"keyPrefix": "models/"}], ("http://store:9000", "lab", ("keys", "key", "secret"))),
        ([FROM_ENVIRONMENT | {"keyPrefix": "root/pho"}], ("http://store:9000", "lab", None)),
        (
            [FROM_ENVIRONMENT | {"keyPrefix": "root/", "endpoint": "one:1"}, FROM_ENVIRONMENT | {"endpoint": "two:2"}],
            ("http://one:1", "lab", None),
        ),
        # AWS itself, however it is spelt.
        ([FROM_ENVIRONMENT | {"endpoint": "s3.amazonaws.com"}], ("", "lab", None)),
    ],
)
@pytest.mark.parametrize("key", ["Overrides", "overrides"])
def test_overrides_are_read_as_the_launcher_reads_them(
    overrides: list[dict[str, object]], expected: tuple[object, ...], key: str
) -> None:
    """backend/src/v2/config/s3.go of 2.17.0."""
    content = {"s3": {"default": OF_DEFAULT, key: [{"bucketName": "bucket"} | each for each in overrides]}}
    assert launcher._provider(yaml.safe_dump(content), "s3://bucket/root/photos/x") == expected
    default = ("http://store:9000", "lab", ("keys", "key", "secret"))
    assert launcher._provider(yaml.safe_dump(content), "s3://another/root/photos/x") == default


@pytest.mark.parametrize(
    "content",
    [
        {},  # as the pod's environment has it
        {"s3": {"Overrides": [{"bucketName": "bucket"} | FROM_ENVIRONMENT]}},  # the launcher refuses: no default
        {"s3": {"default": OF_DEFAULT, "Overrides": [{"bucketName": "bucket"}]}},  # and this: no credentials
    ],
)
def test_what_the_launcher_refuses_or_does_not_know_is_not_known(content: dict[str, object]) -> None:
    with pytest.raises(LookupError):
        launcher._provider(yaml.safe_dump(content), "s3://bucket/root")


def test_without_settings_minio_is_as_shipped(
    kubernetes: dict[str, dict[str, str]], s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is behind `kubectl port-forward svc/seaweedfs`, with the port that it has in the cluster."""
    port = s3.url.rpartition(":")[2]
    monkeypatch.setattr(launcher, "SHIPPED", podstore.Store(f"http://seaweedfs.kubeflow:{port}", "us-east-1", "keys"))
    kubernetes[CONFIG_MAP] = {}
    kubernetes[SECRET] = {"accesskey": keys()["key"], "secretkey": keys()["secret"]}
    assert launcher.access("minio://mlpipeline/x", "kubeflow") == (
        f"http://localhost:{port}", "us-east-1", s3_store.ACCESS_KEY, s3_store.SECRET_KEY,
    )  # fmt: skip


@pytest.mark.parametrize("lacks", ["rights", "provider", "answer", "kubeconfig"])
def test_what_is_not_known_is_nothing(
    kubernetes: dict[str, dict[str, str]], s3: S3, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    kubernetes[CONFIG_MAP], kubernetes[SECRET] = {"providers": providers(s3)}, keys()
    if lacks == "rights":
        del kubernetes[SECRET]
    elif lacks == "provider":
        kubernetes[CONFIG_MAP] = {"defaultPipelineRoot": "s3://bucket"}
    elif lacks == "answer":
        kubernetes[CONFIG_MAP] = {
            "providers": providers(s3).replace(s3.url.removeprefix("http://"), "nowhere.invalid:1")
        }
    else:
        monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert launcher.access("s3://bucket/x", "kubeflow") is None


def test_a_report_is_read_with_them_when_the_ui_does_not_read_it(
    server: Server, submit: Submit, s3: S3, kubernetes: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kubernetes[CONFIG_MAP], kubernetes[SECRET] = {"providers": providers(s3)}, keys()
    for name in s3_store.environment(""):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)

    def play(run: object) -> object:
        base = publish(s3, run)
        server.outputs[server.runs[0].run_id] = [f"{base}/results"]
        return ENDED

    server.play = play  # type: ignore[assignment]
    result = submit("--wait")
    assert "79.0%" in result.output, result.output
    assert s3_store.SECRET_KEY not in result.output
    # An export to s3:// elsewhere does not go there.
    assert not any(name in os.environ for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID"))
