"""The store's settings as a cluster has them: a Kubernetes API on the loopback, with a ConfigMap and a secret."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

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
    assert launcher.environment("s3://bucket/x", "kubeflow") == {
        "AWS_ENDPOINT_URL": s3.url,
        "AWS_REGION": "lab",
        "AWS_ACCESS_KEY_ID": s3_store.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": s3_store.SECRET_KEY,
    }
    assert launcher.environment("gs://bucket/x", "kubeflow") == {}


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
    assert launcher.environment("s3://bucket/x", "kubeflow") == {}


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
