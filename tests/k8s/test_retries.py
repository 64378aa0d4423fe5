"""Retries on an installation as it ships, with our patch of Argo's defaults and without.

Argo is not here: what it does with a strategy is modelled on v4.0.5, workflow/controller/operator.go
(mergedTemplateDefaultsInto, processNodeRetries, inferFailedReason). A killed process and a deleted pod were seen on a
real backend.
"""

import subprocess
from typing import Any

import pytest
import yaml

from switchpoint.command import compilation, profiles
from switchpoint.provenance.digests import ROOT
from tests.support import tasks_of

K8S = ROOT / "k8s"

SHIPPED_RETRY = {"limit": "2", "retryPolicy": "OnError"}
SHIPPED = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "workflow-controller-configmap", "namespace": "kubeflow"},
    "data": {
        "artifactRepository": "archiveLogs: true\n",
        "executor": "imagePullPolicy: IfNotPresent\n",
        "workflowDefaults": yaml.safe_dump(
            {
                "spec": {
                    "ttlStrategy": dict.fromkeys(
                        ("secondsAfterCompletion", "secondsAfterSuccess", "secondsAfterFailure"), 3600
                    ),
                    "templateDefaults": {"retryStrategy": SHIPPED_RETRY},
                }
            }
        ),
    },
}
FAILED = ("killed", "out of memory", "evicted", "timeout", "spot node shut down")  # the pod ended, and says so
ERROR = ("pod deleted", "node gone")  # there is no pod any more


def retries(cause: str, own: dict[str, Any] | None, default: dict[str, Any]) -> int:
    """How often Argo starts a step again that fails each time."""
    strategy = default | (own or {})
    policy = strategy.get("retryPolicy", "OnFailure")
    wanted = policy == "Always" or policy == ("OnFailure" if cause in FAILED else "OnError")
    return int(strategy["limit"]) if wanted else 0


@pytest.fixture(scope="module")
def patched(kustomize: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The controller's ConfigMap as Kubeflow Pipelines 2.17 ships it, with the patch."""
    # Kustomize takes no absolute paths, so the installation's kustomization lies beside ours.
    place = tmp_path_factory.mktemp("installation")
    (place / "shipped.yaml").write_text(yaml.safe_dump(SHIPPED))
    subprocess.run(["cp", "-r", K8S / "workflow-controller", place / "ours"], check=True)
    wanted = {"resources": ["shipped.yaml"], "components": ["ours"]}
    (place / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
    built = subprocess.run([kustomize, "build", place], capture_output=True, text=True)
    assert (built.returncode, built.stderr) == (0, "")
    found: dict[str, Any] = yaml.safe_load(built.stdout)
    return found


def default_of(config_map: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(config_map["data"]["workflowDefaults"])["spec"]["templateDefaults"]
    return found["retryStrategy"]  # type: ignore[no-any-return]


def own_of(profile: str, step: str) -> dict[str, Any]:
    """What KFP's compiler makes of a task's retries: a limit and a backoff, and no policy."""
    spec, _ = yaml.safe_load_all(compilation.package(profiles.load(profile)))
    tasks = tasks_of(spec)
    assert set(tasks[step]["retryPolicy"]) == {
        "maxRetryCount", "backoffDuration", "backoffFactor", "backoffMaxDuration",
    }  # fmt: skip
    return {"limit": tasks[step]["retryPolicy"]["maxRetryCount"], "backoff": {}}


@pytest.mark.parametrize("cause", FAILED + ERROR)
def test_a_profiles_retries_hold_whatever_the_cause(patched: dict[str, Any], cause: str) -> None:
    assert retries(cause, own_of("gke-a100-spot", "finetune"), default_of(patched)) == 5


def test_as_it_ships_only_a_pod_that_is_gone_is_tried_again() -> None:
    own = own_of("gke-a100-spot", "finetune")
    assert {cause: retries(cause, own, SHIPPED_RETRY) for cause in FAILED + ERROR} == {
        **dict.fromkeys(FAILED, 0),
        **dict.fromkeys(ERROR, 5),
    }


@pytest.mark.parametrize("cause", FAILED + ERROR)
def test_who_asks_for_no_retries_gets_none(patched: dict[str, Any], cause: str) -> None:
    """Other pipelines' steps, drivers, and the graphs around them, of which each would repeat all that is inside."""
    assert retries(cause, None, default_of(patched)) == 0


def test_the_rest_of_the_controllers_settings_stays(patched: dict[str, Any]) -> None:
    assert patched["data"].keys() == SHIPPED["data"].keys()
    for key in ("artifactRepository", "executor"):
        assert patched["data"][key] == SHIPPED["data"][key]
    before, after = (yaml.safe_load(each["data"]["workflowDefaults"])["spec"] for each in (SHIPPED, patched))
    assert after["ttlStrategy"] == before["ttlStrategy"]
    assert after.keys() == before.keys() and after["templateDefaults"].keys() == {"retryStrategy"}


def test_the_patch_is_no_part_of_an_overlay() -> None:
    """`kubectl apply` would take from the ConfigMap what the file lacks: the store, the executor's rights."""
    for path in (*K8S.glob("overlays/*/*.yaml"), *K8S.glob("base/*.yaml")):
        assert "workflow-controller" not in str(yaml.safe_load(path.read_text()))
