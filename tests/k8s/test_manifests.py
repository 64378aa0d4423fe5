import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from switchpoint.provenance import digests as identity

K8S = identity.ROOT / "k8s"
OVERLAYS = sorted(path.parent.name for path in K8S.glob("overlays/*/kustomization.yaml"))
SCRIPTS = sorted(path.relative_to(K8S).as_posix() for path in K8S.glob("gke/*.sh"))


@pytest.fixture(scope="module", params=OVERLAYS)
def manifest(request: pytest.FixtureRequest, kustomize: str) -> str:
    command = [kustomize, "build", str(K8S / "overlays" / request.param)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert built.stderr == "", "kustomize warns of what it will stop to take"
    return built.stdout


@pytest.fixture(scope="module")
def objects(manifest: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(manifest))


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    found = [one for one in objects if one["kind"] == kind]
    assert found, f"no {kind} in the overlay"
    return found


def walk(value: Any) -> Any:
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def test_there_is_an_overlay_for_each_place_we_name() -> None:
    assert OVERLAYS == ["default", "gke", "kind", "multi-user"]


def test_kubernetes_takes_every_object(manifest: str, tmp_path: Path) -> None:
    file = tmp_path / "manifest.yaml"
    file.write_text(manifest)
    validate = Path(sys.executable).with_name("kubernetes-validate")
    validated = subprocess.run([validate, "--strict", file], capture_output=True, text=True)
    assert validated.returncode == 0, validated.stdout + validated.stderr


def test_everything_is_in_one_namespace(objects: list[dict[str, Any]]) -> None:
    (namespace,) = of_kind(objects, "Namespace")
    placed = {one["metadata"].get("namespace") for one in objects if one["kind"] != "Namespace"}
    assert placed == {namespace["metadata"]["name"]}
    for binding in of_kind(objects, "RoleBinding"):
        assert {subject["namespace"] for subject in binding["subjects"]} == placed


def test_no_image_without_a_tag(objects: list[dict[str, Any]]) -> None:
    for value in walk(objects):
        if isinstance(value, dict) and isinstance(value.get("image"), str):
            name = value["image"].rpartition("/")[2]
            assert "@sha256:" in name or (":" in name and not name.endswith(":latest")), value["image"]


def test_no_privilege(objects: list[dict[str, Any]]) -> None:
    for value in walk(objects):
        if isinstance(value, dict):
            assert value.get("privileged") is not True
            assert value.get("allowPrivilegeEscalation") is not True
            assert value.get("runAsUser") != 0
            assert value.get("runAsNonRoot") is not False
            assert not value.keys() & {"hostPath", "hostNetwork", "hostPID", "hostIPC", "hostPort"}


def test_rights_are_named_one_by_one_and_end_at_the_namespace(objects: list[dict[str, Any]]) -> None:
    assert not [one for one in objects if one["kind"].startswith("ClusterRole")]
    for role in of_kind(objects, "Role"):
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], rule
            if set(rule["resources"]) & {"secrets", "configmaps"}:
                assert rule.get("resourceNames"), f"{rule} reads all of them"
            assert not set(rule["resources"]) & {"pods/exec", "serviceaccounts/token"}, rule
            assert not set(rule["verbs"]) & {"escalate", "bind", "impersonate"}, rule


def test_pod_security_is_enforced_at_the_level_that_a_run_meets(objects: list[dict[str, Any]]) -> None:
    (namespace,) = of_kind(objects, "Namespace")
    levels = {key.rpartition("/")[2]: value for key, value in namespace["metadata"]["labels"].items()}
    assert levels == {"enforce": "baseline", "warn": "restricted", "audit": "restricted"}


def test_undoing_by_label_leaves_what_kubeflow_made(objects: list[dict[str, Any]]) -> None:
    label = "app.kubernetes.io/part-of"
    ours = {one["kind"] for one in objects if one["metadata"].get("labels", {}).get(label) == "switchpoint"}
    assert ours == {one["kind"] for one in objects} - {"Namespace", "ConfigMap"}


def test_kubeflows_own_pods_still_start(objects: list[dict[str, Any]]) -> None:
    for limits in of_kind(objects, "LimitRange"):
        for limit in limits["spec"]["limits"]:
            # Kubernetes fills a missing default with `max`, so that a maximum becomes everybody's request.
            assert not limit.keys() & {"default", "max", "min", "maxLimitRequestRatio"}, limit
    for quota in of_kind(objects, "ResourceQuota"):
        # Any of these refuses every pod that does not state it.
        demanding = {f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory")}
        assert not quota["spec"]["hard"].keys() & demanding, quota


def test_the_bucket_is_the_default_pipeline_root_on_gke(kustomize: str) -> None:
    built = subprocess.run([kustomize, "build", K8S / "overlays" / "gke"], capture_output=True, text=True, check=True)
    (launcher,) = of_kind(list(yaml.safe_load_all(built.stdout)), "ConfigMap")
    assert launcher["metadata"]["name"] == "kfp-launcher"
    assert launcher["data"]["defaultPipelineRoot"].startswith("gs://")


def test_gpus_may_be_used_where_a_profile_asks_for_them(objects: list[dict[str, Any]], request: Any) -> None:
    (quota,) = of_kind(objects, "ResourceQuota")
    allowed = int(quota["spec"]["hard"]["requests.nvidia.com/gpu"])
    assert (allowed == 0) == (request.node.callspec.params["manifest"] == "kind")


def test_a_run_may_read_the_settings_and_the_secret_of_the_store(objects: list[dict[str, Any]]) -> None:
    """Of the installation as it ships, and in a profile's namespace, where the profile controller makes both."""
    (role,) = of_kind(objects, "Role")
    read = {
        (resource, name)
        for rule in role["rules"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", ())
        if "get" in rule["verbs"]
    }
    assert {("configmaps", "kfp-launcher"), ("secrets", "mlpipeline-minio-artifact")} <= read


def test_in_a_profiles_namespace_kfp_launcher_is_the_controllers(objects: list[dict[str, Any]], request: Any) -> None:
    if request.node.callspec.params["manifest"] == "multi-user":
        assert "ConfigMap" not in {one["kind"] for one in objects}


SETTINGS = {"PROJECT": "a-project", "CLUSTER": "a-cluster", "LOCATION": "us-central1", "BUCKET": "a-bucket"}


class TestTheScripts:
    def say(self, script: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], **settings}
        return subprocess.run(["bash", K8S / script, *arguments], capture_output=True, text=True, env=environment)

    @pytest.mark.parametrize("script", SCRIPTS)
    @pytest.mark.parametrize("action", ["create", "delete"])
    def test_a_dry_run_prints_the_commands_and_starts_nothing(self, script: str, action: str, tmp_path: Path) -> None:
        called = tmp_path / "called"
        gcloud = tmp_path / "gcloud"
        gcloud.write_text(f"#!/bin/sh\ntouch {called}\n")
        gcloud.chmod(0o755)
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

        said = self.say(script, action, "--dry-run", **{**SETTINGS, "PATH": path})

        assert said.returncode == 0, said.stderr
        assert said.stdout.startswith("+ gcloud ")
        assert not called.exists()

    @pytest.mark.parametrize("script", SCRIPTS)
    def test_a_command_is_printed_before_it_runs_and_its_failure_is_the_scripts(
        self, script: str, tmp_path: Path
    ) -> None:
        gcloud = tmp_path / "gcloud"
        gcloud.write_text('#!/bin/sh\ncase "$*" in *list*|*describe*) exit 0;; esac\necho refused >&2\nexit 3\n')
        gcloud.chmod(0o755)
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

        said = self.say(script, "create", **{**SETTINGS, "PATH": path})

        assert said.returncode == 3
        assert said.stdout.count("+ gcloud ") == 1
        assert "refused" in said.stderr

    @pytest.mark.parametrize("script", SCRIPTS)
    @pytest.mark.parametrize("arguments", [(), ("destroy",), ("delete", "--force")])
    def test_anything_else_prints_how_to_use_it(self, script: str, arguments: tuple[str, ...]) -> None:
        said = self.say(script, *arguments, **SETTINGS)
        assert said.returncode == 2
        assert "create|delete" in said.stderr

    @pytest.mark.parametrize("script", SCRIPTS)
    def test_a_missing_setting_is_named(self, script: str) -> None:
        said = self.say(script, "delete", "--dry-run", LOCATION="us-central1")
        assert said.returncode == 1
        assert "PROJECT: is the Google Cloud project" in said.stderr

    def test_every_pool_that_is_created_is_deleted(self) -> None:
        def pools(action: str) -> set[str]:
            lines = self.say("gke/node-pools.sh", action, "--dry-run", **SETTINGS).stdout.splitlines()
            return {line.split()[5] for line in lines}

        assert pools("create") == pools("delete") == {"switchpoint-l4", "switchpoint-a100-spot"}

    @pytest.mark.parametrize(("profile", "pool"), [("gke-l4", 0), ("gke-a100-spot", 1)])
    def test_a_profile_selects_its_pool_and_tolerates_its_taints(self, profile: str, pool: int) -> None:
        command = self.say("gke/node-pools.sh", "create", "--dry-run", **SETTINGS).stdout.splitlines()[pool]
        (accelerator,) = re.findall(r"--accelerator=type=([\w-]+)", command)
        # The first of each GKE adds itself, the second the script asks for.
        labels = {"cloud.google.com/gke-accelerator": accelerator}
        tainted = {"nvidia.com/gpu"}
        if "--spot" in command:
            labels["cloud.google.com/gke-spot"] = "true"
            assert "--node-taints=cloud.google.com/gke-spot=true:NoSchedule" in command
            tainted.add("cloud.google.com/gke-spot")

        steps = yaml.safe_load((K8S / "profiles" / f"{profile}.yaml").read_text())["steps"]

        for step in ("transfer", "finetune", "evaluate"):
            assert steps[step]["node_selector"] == labels
            assert {toleration["key"] for toleration in steps[step]["tolerations"]} == tainted
