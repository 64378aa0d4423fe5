"""How pods reach s3:// and minio:// addresses: what the AWS tools read, storage/s3.py among them."""

from dataclasses import dataclass, field
from typing import Any

from switchpoint.command import kfp_alone

READERS = ("digest", "prepare", "transfer", "finetune")  # the steps that read or write a bucket themselves


def _check(pattern: str, allowed: str) -> Any:
    return field(default=None, metadata={"pattern": pattern, "allowed": allowed})


@dataclass(frozen=True)
class Store:
    """A profile's `store`. Without a secret, pods ask as what their service account is."""

    endpoint: str | None = _check(r"https?://.+", "an address that pods reach, such as http://seaweedfs.kubeflow:9000")
    region: str | None = _check(r"[a-z0-9-]+", "a region, such as eu-central-1")
    secret: str | None = _check(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", "a secret's name; it has accesskey and secretkey")


# A default Kubeflow's, by its launcher (backend/src/v2/objectstore/config.go): what it addresses as minio://.
SHIPPED = Store("http://seaweedfs.kubeflow:9000", "us-east-1", "mlpipeline-minio-artifact")


def reach(task: Any, store: Store) -> None:
    """Tell a task's pod."""
    if store.endpoint:
        task.set_env_variable("AWS_ENDPOINT_URL", store.endpoint)
    if store.region:
        task.set_env_variable("AWS_REGION", store.region)
    if store.secret:
        keys = {"accesskey": "AWS_ACCESS_KEY_ID", "secretkey": "AWS_SECRET_ACCESS_KEY"}
        kfp_alone.kubernetes().use_secret_as_env(task, store.secret, keys)
