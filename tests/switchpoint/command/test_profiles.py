import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import components
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline import switchpoint
from switchpoint.command import compilation, profiles
from switchpoint.errors import ParameterError
from switchpoint.provenance import digests as identity
from switchpoint.training.states import RESUME
from tests.support import tasks_of
from tests.switchpoint.command.packages import compiled, containers, step_of

SHIPPED = ["cpu", "eks", "gke-a100-spot", "gke-l4", "nvidia", "openshift"]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(identity.REGISTRY, raising=False)
    monkeypatch.delenv(identity.DEVICE, raising=False)


def test_six_profiles_ship() -> None:
    assert profiles.names() == SHIPPED


@pytest.mark.parametrize("profile", SHIPPED)
def test_a_compiled_profile_is_what_kfp_and_its_kubernetes_extension_know(profile: str) -> None:
    text = compilation.package(profiles.load(profile))
    spec, platform = yaml.safe_load_all(text)
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors.keys() <= spec["deploymentSpec"]["executors"].keys()
    for settings in executors.values():
        json_format.ParseDict(settings, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
    loaded = components.load_component_from_text(text)
    assert loaded.name == "switchpoint"
    assert spec["pipelineInfo"]["displayName"] == "Switchpoint"


@pytest.mark.parametrize("profile", SHIPPED)
def test_only_steps_that_run_a_network_ask_for_a_gpu(profile: str) -> None:
    spec, settings = compiled(profile)
    asking = {step_of(name) for name, each in containers(spec).items() if "accelerator" in each["resources"]}
    selecting = {step_of(name) for name, each in settings.items() if "nodeSelector" in each}
    gpu_images = {step_of(name) for name, each in containers(spec).items() if ":gpu-" in each["image"]}
    expected = set() if profile == "cpu" else set(identity.TRAINING_STEPS)
    assert asking == selecting == gpu_images == expected


def test_a_step_gets_what_its_profile_says() -> None:
    spec, settings = compiled("gke-a100-spot")
    resources = containers(spec)["exec-finetune"]["resources"]
    assert resources["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert resources["accelerator"]["resourceCount"] == "1"
    assert resources["resourceCpuRequest"] == "10" and resources["resourceMemoryLimit"] == "70Gi"
    finetune = settings["exec-finetune"]
    assert finetune["nodeSelector"]["labels"] == {
        "cloud.google.com/gke-accelerator": "nvidia-tesla-a100",
        "cloud.google.com/gke-spot": "true",
    }
    assert {toleration["key"] for toleration in finetune["tolerations"]} == {
        "nvidia.com/gpu",
        "cloud.google.com/gke-spot",
    }
    assert finetune["emptyDirMounts"] == [
        {"volumeName": "shared-memory", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "8Gi"},
        {"volumeName": "scratch", "mountPath": "/tmp", "sizeLimit": "50Gi"},
    ]
    assert finetune["activeDeadlineSeconds"] == "86400"
    # The step's own retries, the default's for the others.
    counts = {
        name: task["retryPolicy"]["maxRetryCount"] for name, task in tasks_of(spec).items() if "-loop-" not in name
    }
    others = dict.fromkeys(("digest", "prepare", "collect", "report"), 1)
    assert counts == others | dict.fromkeys(("transfer", "evaluate", "finetune", "evaluate-2"), 5)


@pytest.mark.parametrize("profile", ["gke-l4", "gke-a100-spot"])
def test_the_limit_on_retrying_leaves_every_attempt_its_time(profile: str) -> None:
    """Argo counts it from the start of the first attempt, ends the attempt that runs, and reads whole factors only."""
    spec, settings = compiled(profile)
    for name, task in tasks_of(spec).items():
        if "retryPolicy" not in task:
            continue
        policy = task["retryPolicy"]
        timeout = int(settings[f"exec-{name}"]["activeDeadlineSeconds"])
        assert int(policy["backoffMaxDuration"][:-1]) > timeout * (policy["maxRetryCount"] + 1)
        assert policy["backoffFactor"] == int(policy["backoffFactor"])


def cache_key_parts(spec: dict[str, Any]) -> dict[str, Any]:
    """What KFP's backend looks an execution up by, apart from values that only a run has."""
    parts = copy.deepcopy(
        {
            name: {key: container.get(key) for key in ("image", "command", "args", "env")}
            for name, container in containers(spec).items()
        }
    )
    for name, component in spec["components"].items():
        parts[name] = {key: component.get(key) for key in ("inputDefinitions", "outputDefinitions")}
    parts["inputs"] = {name: task.get("inputs") for name, task in tasks_of(spec).items()}
    return parts


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_another_pool_leaves_the_cache_alone(device: str) -> None:
    one, *others = (cache_key_parts(compiled(profile, device)[0]) for profile in SHIPPED)
    assert all(other == one for other in others)


def test_another_device_changes_the_images_of_training_steps_and_nothing_else() -> None:
    cpu, gpu = compiled("gke-l4", "cpu")[0], compiled("gke-l4", "gpu")[0]
    for name, container in containers(cpu).items():
        other = containers(gpu)[name]
        assert (container["image"] != other["image"]) == (step_of(name) in identity.TRAINING_STEPS)
        other["image"] = container["image"]
    assert cpu == gpu


@pytest.mark.parametrize("profile", SHIPPED)
def test_settings_are_constants(profile: str) -> None:
    """A setting that came from a parameter would be an input, and so part of the cache key."""
    spec, settings = compiled(profile)
    assert "{{" not in str(settings)
    assert all("{{" not in str(container["resources"]) for container in containers(spec).values())


def test_trainings_alone_are_told_where_to_keep_their_state(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("resume: /resume\nsteps: {finetune: {volume: {claim: states, path: /resume}}}")
    for given, expected in ((None, "/resume"), ("gs://bucket/resume", "gs://bucket/resume")):
        spec, platform = yaml.safe_load_all(compilation.package(profiles.load(str(file)), resume=given))
        told = {step_of(name): container.get("env") for name, container in containers(spec).items()}
        variable = [{"name": RESUME, "value": expected}]
        steps = ("digest", "transfer", "finetune")  # the first tries whether they can be kept
        assert {step: env for step, env in told.items() if env} == dict.fromkeys(steps, variable)
        executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        mounting = {step_of(name) for name, settings in executors.items() if "pvcMount" in settings}
        assert mounting == ({"finetune"} if given else {"digest", "finetune"})


@pytest.mark.parametrize("way", ["flag", "profile"])
def test_no_states_are_kept_when_that_is_said(tmp_path: Path, way: str) -> None:
    (tmp_path / "own.yaml").write_text("resume: none" if way == "profile" else "resume: gs://bucket/states")
    resume = "none" if way == "flag" else None
    assert RESUME not in compilation.package(profiles.load(str(tmp_path / "own.yaml")), resume=resume)


def test_compiling_leaves_the_local_pipeline_as_it_was() -> None:
    before = switchpoint.pipeline_spec.SerializeToString(deterministic=True)
    compilation.package(profiles.load("gke-l4"), "registry.example")
    assert switchpoint.pipeline_spec.SerializeToString(deterministic=True) == before
    assert not switchpoint.platform_spec.ListFields()
    assert identity.REGISTRY not in os.environ and identity.DEVICE not in os.environ


def test_two_processes_compile_the_same_bytes(tmp_path: Path) -> None:
    outputs = [tmp_path / f"{seed}.yaml" for seed in (1, 2)]
    for seed, output in enumerate(outputs):
        subprocess.run(
            [sys.executable, "-m", "switchpoint.command", "compile", "--profile", "gke-l4", "--output", str(output)],
            env={**os.environ, "PYTHONHASHSEED": str(seed), identity.REGISTRY: "registry.example/team"},
            cwd=identity.ROOT,
            check=True,
            capture_output=True,
        )
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert b"registry.example/team/switchpoint-python-transfer:gpu-" in outputs[0].read_bytes()


def test_the_environment_names_registry_and_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(identity.REGISTRY, "elsewhere.example")
    monkeypatch.setenv(identity.DEVICE, "cpu")
    spec, _ = yaml.safe_load_all(compilation.package(profiles.load("gke-l4")))
    assert containers(spec)["exec-transfer"]["image"] == identity.image("transfer", "elsewhere.example", "cpu")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: {train: {}}", r"steps\.train is unknown\. Allowed: digest, prepare, transfer"),
        ("defaults: {}", r"defaults is unknown\. Allowed: default, steps, resume, claims, store, minio"),
        ("default: {gpu: 1}", r"default\.gpu is unknown\. Allowed: accelerator, node_selector"),
        ("default: {cpu: {request: 2}}", r'default\.cpu\.request is 2: give cores in quotes, such as "2"'),
        ("default: {memory: {limit: 4 GB}}", r"memory\.limit is '4 GB': give a size such as 512Mi"),
        ("default: {timeout: 1 day}", r"default\.timeout is '1 day': give a time such as 30s"),
        ("default: {accelerator: {type: nvidia.com/gpu}}", r"default\.accelerator needs type and count"),
        ("default: {accelerator: {type: L4, count: 1}}", r"accelerator\.type is 'L4': give a resource of the node"),
        ("default: {accelerator: {type: nvidia.com/gpu, count: true}}", r"accelerator\.count is True: give a whole"),
        ("default: {node_selector: {spot: true}}", r'node_selector is .*"true" in quotes'),
        ("default: {tolerations: {key: spot}}", r"tolerations is .*give a list of tolerations"),
        ("default: {tolerations: [{effect: Never}]}", r"tolerations\[0\]\.effect is 'Never': give NoSchedule"),
        ("default: {retries: {count: 1, backoff: 1m, factor: 1.5}}", r"retries\.factor is 1\.5: give a whole number"),
        ("default: {retries: {count: 1}}", r"default\.retries needs count, backoff and factor"),
        ("default: {retries: {count: 1, backoff: 1m, factor: 2}}", r"retries needs a timeout"),
        ("steps: {transfer: {timeout: 0h}}", r"steps\.transfer\.timeout is '0h'"),
        ("resume: bucket/prefix", r"resume is 'bucket/prefix': give gs:// or s3://BUCKET/NAME or the path"),
        ("default: {volume: {claim: resume}}", r"default\.volume needs claim and path"),
        ("store: {endpoint: seaweedfs:9000}", r"store\.endpoint is 'seaweedfs:9000': give an address that pods reach"),
        ("store: {key: minio123}", r"store\.key is unknown\. Allowed: endpoint, region, secret"),
        ("[]", r"is \[\]: give a mapping with default, steps, resume"),
        ("a: [", "is no YAML"),
    ],
)
def test_a_profile_that_breaks_the_schema_names_file_key_and_what_is_allowed(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ParameterError, match=said) as error:
        profiles.load(str(file))
    assert str(file) in str(error.value)


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(ParameterError, match=r"no profile 'tpu'\. There are: cpu, eks, gke-a100-spot, gke-l4"):
        profiles.load("tpu")


def test_an_empty_profile_sets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("")
    documents = list(yaml.safe_load_all(compilation.package(profiles.load(str(file)))))
    assert len(documents) == 1


def test_a_steps_own_settings_replace_the_defaults_whole(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text('default: {cpu: {request: "1"}, timeout: 1h}\nsteps: {report: {cpu: {limit: 500m}}}')
    steps = profiles.load(str(file)).steps
    assert steps["report"] == profiles.Placement(cpu=profiles.Cpu(limit="500m"), timeout="1h")
    assert steps["prepare"].cpu == profiles.Cpu(request="1")


def test_the_digests_are_taken_first_and_anew_in_every_run() -> None:
    spec, _ = compiled("cpu")
    tasks = tasks_of(spec)
    assert tasks["digest"].get("cachingOptions", {}) == {} and "triggerPolicy" not in tasks["digest"]
    assert {name for name, task in tasks.items() if task.get("cachingOptions") == {"enableCache": True}} == (
        tasks.keys() - {"digest", "for-loop-1", "for-loop-2"}
    )
    inside = "pipelinechannel--digest-of_weights"  # of the loop that transfer is in
    assert tasks["transfer"]["inputs"]["parameters"]["weights_digest"] == {"componentInputParameter": inside}
    for name, parameter, output in (("prepare", "dataset_digest", "of_dataset"), ("for-loop-1", inside, "of_weights")):
        given = tasks[name]["inputs"]["parameters"][parameter]
        assert given == {"taskOutputParameter": {"outputParameterKey": output, "producerTask": "digest"}}


def test_what_reads_photos_sees_their_volume_and_nothing_else_does(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("claims: [photos, photos-2]")
    text = compilation.package(profiles.load(str(file)), uses=["pvc://photos/food-101"])
    executors = list(yaml.safe_load_all(text))[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    mounts = {
        name: [(each["mountPath"], each["constant"]) for each in of["pvcMount"]] for name, of in executors.items()
    }
    both = [("/pvc/photos", "photos"), ("/pvc/photos-2", "photos-2")]
    assert mounts == {"exec-digest": both, "exec-prepare": both}


def test_the_first_step_sees_where_states_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("resume: /resume/states\nsteps: {transfer: {volume: {claim: states, path: /resume}}}")
    text = compilation.package(profiles.load(str(file)))
    spec, platform = yaml.safe_load_all(text)
    assert containers(spec)["exec-digest"]["env"] == [{"name": RESUME, "value": "/resume/states"}]
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors["exec-digest"]["pvcMount"] == executors["exec-transfer"]["pvcMount"]


@pytest.mark.parametrize("profile", SHIPPED)
def test_no_profile_names_a_user_or_a_volume_that_a_restricted_cluster_refuses(profile: str) -> None:
    """OpenShift's restricted-v2 chooses the uid, and takes emptyDir and PersistentVolumeClaim."""
    _, settings = compiled(profile)
    allowed = {"nodeSelector", "tolerations", "emptyDirMounts", "pvcMount", "activeDeadlineSeconds"}
    assert {key for each in settings.values() for key in each} <= allowed


def test_the_guides_table_says_what_each_profile_selects_and_tolerates() -> None:
    guide = (identity.ROOT / "docs" / "kubeflow.md").read_text()
    for name in SHIPPED:
        (row,) = [line for line in guide.splitlines() if line.startswith(f"| `{name}` |") and line.count("|") == 6]
        training = profiles.load(name).steps["transfer"]
        labels = {f"`{label}={value}`" for label, value in (training.node_selector or {}).items()}
        taints = {f"`{each.key}`" for each in training.tolerations or []}
        _, _, said_labels, said_taints, *_ = row.split("|")
        assert set(said_labels.split()) - {"none"} == labels, name
        assert set(said_taints.split()) - {"none"} == taints, name
