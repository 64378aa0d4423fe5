"""The settings of a cluster's store, as KFP's launcher has them: ConfigMap `kfp-launcher` and the secret it names.

Asked with kubectl's kubeconfig, whose client takes a second to import: only where nothing else has read an artifact.
"""

from __future__ import annotations

import base64
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from switchpoint import addresses
from switchpoint.command.podstore import SHIPPED

CONFIG_MAP = "kfp-launcher"
SOON = 2.0  # seconds for an endpoint to answer: from outside of the cluster most do not


def environment(uri: str, namespace: str) -> dict[str, str]:
    """The AWS_ variables with which the store of an address is reached from here; {} when that is not known."""
    if addresses.scheme(uri) == "gs" or not _kubeconfig():
        return {}
    try:
        from kubernetes import client, config

        config.load_kube_config()
        api = client.CoreV1Api()
        asked: dict[str, Any] = {"namespace": namespace, "_request_timeout": 5}
        data = api.read_namespaced_config_map(CONFIG_MAP, **asked).data or {}
        endpoint, region, secret = _provider(data.get("providers") or "", uri)
        if not endpoint or not _answers(endpoint):
            return {}
        found = {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": region or "us-east-1"}
        if secret:
            keys = api.read_namespaced_secret(secret[0], **asked).data or {}
            names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
            found |= {name: base64.b64decode(keys[key]).decode() for name, key in zip(names, secret[1:], strict=True)}
        return found
    except Exception:  # no right to look, another cluster, another shape: then it is not known from here
        return {}


def _kubeconfig() -> bool:
    paths = os.environ.get("KUBECONFIG") or "~/.kube/config"
    return any(Path(path).expanduser().is_file() for path in paths.split(os.pathsep) if path)


def _provider(text: str, uri: str) -> tuple[str, str, tuple[str, str, str] | None]:
    """Endpoint, region, and the secret's name with its two keys."""
    scheme, bucket = addresses.scheme(uri), addresses.parse(uri)[0]
    provider = (yaml.safe_load(text) or {}).get(scheme)
    if not provider:
        shipped = (str(SHIPPED.endpoint), str(SHIPPED.region), (str(SHIPPED.secret), "accesskey", "secretkey"))
        return shipped if scheme == "minio" else ("", "", None)
    special = [each for each in provider.get("Overrides") or () if each.get("bucketName") == bucket]
    chosen = special[0] if special else provider.get("default") or {}
    endpoint = str(chosen.get("endpoint") or "")
    if endpoint and "://" not in endpoint:
        endpoint = f"{'http' if chosen.get('disableSSL') else 'https'}://{endpoint}"
    reference = (chosen.get("credentials") or {}).get("secretRef")
    secret = reference and (reference["secretName"], reference["accessKeyKey"], reference["secretKeyKey"])
    return endpoint, str(chosen.get("region") or ""), secret or None


def _answers(endpoint: str) -> bool:
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), SOON).close()
        return True
    except OSError:
        return False
