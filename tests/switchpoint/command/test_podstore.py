"""What pods are told of the stores that a run uses."""

from pathlib import Path

import yaml

from switchpoint.command import compilation, podstore, profiles
from switchpoint.training.resume import RESUME
from tests.switchpoint.command.packages import compiled, containers, step_of


def test_who_reads_a_bucket_is_told_how_to_reach_the_store(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("store: {endpoint: 'http://store:9000', region: minio, secret: keys}\n")
    spec, executors = compiled(str(tmp_path / "mine.yaml"))
    for name, container in containers(spec).items():
        told = {each["name"]: each["value"] for each in container.get("env", ())}
        secrets = executors.get(name, {}).get("secretAsEnv", ())
        if step_of(name) in ("digest", "prepare", "transfer", "finetune"):
            assert told == {"AWS_ENDPOINT_URL": "http://store:9000", "AWS_REGION": "minio"}
            (secret,) = secrets
            assert secret["secretName"] == "keys"
            assert {each["secretKey"]: each["envVar"] for each in secret["keyToEnv"]} == {
                "accesskey": "AWS_ACCESS_KEY_ID",
                "secretkey": "AWS_SECRET_ACCESS_KEY",
            }
        else:
            assert not told and not secrets


def told(package: str) -> tuple[dict[str, str], dict[str, str]]:
    """The variables of the first step, and of each of its secrets' which holds it."""
    spec, platform = yaml.safe_load_all(package)
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    secrets = executors.get("exec-digest", {}).get("secretAsEnv", ())
    return (
        {each["name"]: each["value"] for each in containers(spec)["exec-digest"].get("env", ())},
        {pair["envVar"]: secret["secretName"] for secret in secrets for pair in secret["keyToEnv"]},
    )


SHIPPED_TOLD = {
    "SWITCHPOINT_MINIO_ENDPOINT_URL": "http://seaweedfs.kubeflow:9000",
    "SWITCHPOINT_MINIO_REGION": "us-east-1",
}
SHIPPED_KEYS = dict.fromkeys(
    ("SWITCHPOINT_MINIO_ACCESS_KEY_ID", "SWITCHPOINT_MINIO_SECRET_ACCESS_KEY"), "mlpipeline-minio-artifact"
)


def test_the_store_of_an_installation_as_shipped_is_known() -> None:
    cpu = profiles.load("cpu")
    assert profiles.for_run(cpu, None, ["gs://bucket/x", "", "sample"]) == cpu
    assert profiles.for_run(cpu, "minio://mlpipeline/resume", ()).minio == podstore.SHIPPED
    assert told(compilation.package(cpu, uses=["minio://mlpipeline/x"])) == (SHIPPED_TOLD, SHIPPED_KEYS)
    elsewhere = profiles.Profile("own", cpu.steps, store=podstore.Store("http://other:9000"))
    assert profiles.for_run(elsewhere, None, ["minio://mlpipeline/x"]) == elsewhere


def test_two_stores_in_one_run_are_each_reached_as_they_are(tmp_path: Path) -> None:
    """Photos in S3, by what the pods' service account may; all else in the Kubeflow's own store."""
    (tmp_path / "s3.yaml").write_text("store: {region: eu-central-1}")
    uses = ["s3://photos/food", "minio://mlpipeline/root"]
    package = compilation.package(profiles.load(str(tmp_path / "s3.yaml")), uses=uses)
    assert told(package) == ({"AWS_REGION": "eu-central-1"} | SHIPPED_TOLD, SHIPPED_KEYS)
    stores = "store: {endpoint: 'http://ceph:8000', secret: ceph}\nminio: {endpoint: 'http://minio:9000', secret: keys}"
    (tmp_path / "two.yaml").write_text(stores)
    variables, secrets = told(compilation.package(profiles.load(str(tmp_path / "two.yaml")), uses=uses))
    assert variables == {"AWS_ENDPOINT_URL": "http://ceph:8000", "SWITCHPOINT_MINIO_ENDPOINT_URL": "http://minio:9000"}
    assert (secrets["AWS_ACCESS_KEY_ID"], secrets["SWITCHPOINT_MINIO_ACCESS_KEY_ID"]) == ("ceph", "keys")


def test_compile_tells_pods_what_submit_tells_them(tmp_path: Path) -> None:
    from tests.switchpoint.command.cluster.cases import call

    output = tmp_path / "pipeline.yaml"
    uses = ("--uses", "minio://mlpipeline/datasets/x", "--uses", "pvc://photos/x")
    result = call("compile", "--output", str(output), "--resume", "minio://mlpipeline/states", *uses)
    assert result.exit_code == 0, result.output
    variables, secrets = told(output.read_text())
    assert variables == {RESUME: "minio://mlpipeline/states"} | SHIPPED_TOLD and secrets == SHIPPED_KEYS
    assert "mountPath: /pvc/photos" in output.read_text()
