"""The settings of a cluster's store, as KFP's launcher has them: ConfigMap `kfp-launcher` and the secret it names.

Asked with kubectl's kubeconfig, whose client takes a second to import: only where nothing else has read an artifact.
What the settings mean: backend/src/v2/config/s3.go and minio.go of Kubeflow Pipelines 2.17.0.
"""

from __future__ import annotations

import base64
import functools
import os
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from switchpoint import addresses
from switchpoint.command.podstore import SHIPPED
from switchpoint.storage.s3_client import Access

CONFIG_MAP = "kfp-launcher"
SOON = 2.0  # seconds for an endpoint to answer: from outside of the cluster most do not
AMAZON = re.compile(r"(https://)?s3\.amazonaws\.com", re.IGNORECASE)  # which the launcher takes for no endpoint
SERVICE = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+(\.svc(\..+)?)?)?")  # NAME, NAME.NAMESPACE, NAME.NAMESPACE.svc.…
KEYS = ("accesskey", "secretkey")


def access(uri: str, namespace: str) -> Access | None:
    """How the store of an address is reached from here; None when that is not known."""
    kubeconfig = os.environ.get("KUBECONFIG") or "~/.kube/config"
    if addresses.scheme(uri) == "gs" or not _is_there(kubeconfig):
        return None
    data = _data(kubeconfig, "config_map", namespace, CONFIG_MAP)
    if data is None:
        return None
    try:
        endpoint, region, secret = _provider(data.get("providers") or "", uri)
        if endpoint and not (endpoint := _from_here(endpoint)):
            return None
        keys = _data(kubeconfig, "secret", namespace, secret[0]) if secret else {}
        key, value = (base64.b64decode((keys or {})[name]).decode() for name in secret[1:]) if secret else ("", "")
    except (LookupError, TypeError, ValueError, AttributeError, yaml.YAMLError):
        return None  # another shape, or a secret that may not be read: then it is not known from here
    return Access(endpoint, region or "us-east-1", key, value)


def _is_there(kubeconfig: str) -> bool:
    return any(Path(path).expanduser().is_file() for path in kubeconfig.split(os.pathsep) if path)


@functools.cache  # many reports are read in one command, and a cluster that is not there is waited for
def _data(kubeconfig: str, kind: str, namespace: str, name: str) -> dict[str, str] | None:
    """The data of a ConfigMap or a secret, {} when there is none; None when that is not known: no right, no cluster."""
    from kubernetes import client, config

    try:
        config.load_kube_config()
        read = getattr(client.CoreV1Api(), f"read_namespaced_{kind}")
        return dict(read(name, namespace=namespace, _request_timeout=5).data or {})
    except Exception as error:  # of many kinds, down to those of sockets
        return {} if getattr(error, "status", None) == 404 else None


def _provider(text: str, uri: str) -> tuple[str, str, tuple[str, str, str] | None]:
    """Endpoint, region, and the secret's name with its two keys; what the launcher refuses is a LookupError."""
    scheme, (bucket, name) = addresses.scheme(uri), addresses.parse(uri)
    provider = (_lowered(yaml.safe_load(text)) or {}).get(scheme) or {}
    default, overrides = provider.get("default") or {}, provider.get("overrides") or ()
    if not default and not overrides:
        if scheme == "minio":
            return str(SHIPPED.endpoint), str(SHIPPED.region), (str(SHIPPED.secret), *KEYS)
        raise LookupError("the launcher asks with what its pod's environment has")
    credentials = default["credentials"]
    chosen = dict(default)
    for each in overrides:
        if each.get("bucketname") == bucket and f"{name}/".startswith(each.get("keyprefix") or ""):
            credentials = each["credentials"]  # its own, always; of the rest what it names
            chosen |= {key: value for key, value in each.items() if value not in (None, "")}
            break
    endpoint = str(chosen.get("endpoint") or "")
    if AMAZON.match(endpoint):
        endpoint = ""
    if endpoint and "://" not in endpoint:
        endpoint = f"{'http' if chosen.get('disablessl') else 'https'}://{endpoint}"
    if credentials.get("fromenv"):
        return endpoint, str(chosen.get("region") or ""), None
    reference = credentials["secretref"]
    secret = (reference["secretname"], reference["accesskeykey"], reference["secretkeykey"])
    return endpoint, str(chosen.get("region") or ""), secret


def _lowered(value: Any) -> Any:
    """With all keys in lower case: Go reads Overrides and overrides alike."""
    if isinstance(value, dict):
        return {str(key).lower(): _lowered(each) for key, each in value.items()}
    return [_lowered(each) for each in value] if isinstance(value, list) else value


@functools.cache
def _from_here(endpoint: str) -> str:
    """Where what the cluster calls `endpoint` answers on this machine, as behind a port-forward; "" if nowhere."""
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    # A service's name, as seaweedfs.kubeflow: `kubectl port-forward svc/seaweedfs 9000:9000` brings it to this machine.
    for host in (parts.hostname or "", *(("localhost",) if SERVICE.fullmatch(parts.hostname or "") else ())):
        try:
            socket.create_connection((host, port), SOON).close()
        except OSError:
            continue
        return f"{parts.scheme}://{host}:{port}"
    return ""
