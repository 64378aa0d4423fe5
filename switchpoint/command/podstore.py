"""How pods reach s3:// and minio:// addresses: variables that storage/s3_client.py reads."""

from dataclasses import dataclass, field
from typing import Any

from switchpoint.command import kfp_alone

READERS = (
    "digest",
    "prepare",
    "transfer",
    "finetune",
    "drift",
    "promote",
)  # the steps that read or write a bucket themselves


def _check(pattern: str, allowed: str) -> Any:
    return field(default=None, metadata={"pattern": pattern, "allowed": allowed})


@dataclass(frozen=True)
class Store:
    """A profile's `store` or `minio`. Without a secret, pods ask as what their service account is."""

    endpoint: str | None = _check(r"https?://.+", "an address that pods reach, such as http://seaweedfs.kubeflow:9000")
    region: str | None = _check(r"[a-z0-9-]+", "a region, such as eu-central-1")
    secret: str | None = _check(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", "a secret's name; it has accesskey and secretkey")


# A default Kubeflow's, by its launcher (backend/src/v2/objectstore/config.go): what it addresses as minio://.
SHIPPED = Store("http://seaweedfs.kubeflow:9000", "us-east-1", "mlpipeline-minio-artifact")


SHIPPED_BUCKET = "minio://mlpipeline"


def reach(task: Any, store: Store, prefix: str = "AWS") -> None:
    """Tell a task's pod where a store is: of s3://, which variables of the AWS tools say, or `MINIO`."""
    if store.endpoint:
        task.set_env_variable(f"{prefix}_ENDPOINT_URL", store.endpoint)
    if store.region:
        task.set_env_variable(f"{prefix}_REGION", store.region)
    if store.secret:
        keys = {"accesskey": f"{prefix}_ACCESS_KEY_ID", "secretkey": f"{prefix}_SECRET_ACCESS_KEY"}
        kfp_alone.kubernetes().use_secret_as_env(task, store.secret, keys)


def shipped_if_used(store: Store | None, minio: Store | None, uses: list[str]) -> Store | None:
    """The store of minio://: the profile's, or that of an installation as shipped when a run's address is in it.

    A `store` that names an endpoint is that of both: a Kubeflow's own, elsewhere than as shipped.
    """
    if minio or (store and store.endpoint) or not any(address.startswith("minio://") for address in uses):
        return minio
    return SHIPPED
