"""A run of the cluster again: its parameters with what is asked changed, and its code only when that was said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.digest.step import shape
from switchpoint import addresses
from switchpoint.command import parameters as pipeline_parameters
from switchpoint.command import profiles
from switchpoint.command.cluster.artifacts import Artifacts, root_of
from switchpoint.command.cluster.client import Cluster, Run, parameters_of
from switchpoint.command.cluster.submission import check_visible, describe, resubmit, version
from switchpoint.command.compilation import package
from switchpoint.command.errors import ClusterError
from switchpoint.command.runs import store as runs
from switchpoint.errors import ParameterError
from switchpoint.provenance.digests import CACHED_STEPS, STEPS, code_digest
from switchpoint.training.states import RESUME

if TYPE_CHECKING:
    from switchpoint.documents.lineage import Parameters

_IMAGE = re.compile(
    r"(?:(?P<registry>.+)/)?switchpoint-python-(?P<step>\w+):(?P<target>cpu|gpu)-(?P<digest>[0-9a-f]{16})"
)


@dataclass(frozen=True)
class Earlier:
    """What a rerun takes over from a run: `names` are those of all the parameters that its pipeline has."""

    parameters: Parameters
    names: frozenset[str]
    registry: str
    device: str
    resume: str | None
    changed: list[str]
    profile: str | None
    commit: str | None


def images(spec: dict[str, Any]) -> dict[str, str]:
    """The image of each step of a compiled pipeline."""
    return {step: match.string for step, match in _images(spec).items()}


def _images(spec: dict[str, Any]) -> dict[str, re.Match[str]]:
    executors = spec["deploymentSpec"]["executors"].values()
    found = (_IMAGE.fullmatch(executor["container"]["image"]) for executor in executors if "container" in executor)
    return {match["step"]: match for match in found if match}


def _resume(spec: dict[str, Any]) -> str | None:
    executors = spec["deploymentSpec"]["executors"].values()
    variables = [each for executor in executors for each in executor.get("container", {}).get("env", ())]
    return next((each["value"] for each in variables if each["name"] == RESUME), None)


def look_at(cluster: Cluster, run: Run) -> Earlier:
    """What a rerun of the run takes over, and which steps have other code today.

    Raises:
        ClusterError: It is a run of another pipeline.
    """
    spec = cluster.spec(run)
    inputs = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    if "switch_epochs" not in inputs:
        raise ClusterError(f"Run {run.run_id} ({run.display_name}) is not one of Switchpoint's.")
    found = _images(spec)
    device = "gpu" if any(match["target"] == "gpu" for match in found.values()) else "cpu"
    tags = (cluster.version_of(run).tags if run.pipeline_version_reference else None) or {}
    return Earlier(
        # A run made in the UI may leave parameters to the defaults that its pipeline had.
        parameters={name: each["defaultValue"] for name, each in inputs.items() if "defaultValue" in each}
        | parameters_of(run),
        names=frozenset(inputs),
        registry=next((match["registry"] or "" for match in found.values()), ""),
        device=device,
        resume=_resume(spec),
        changed=[  # a sweep has no step that halves
            step
            for step in CACHED_STEPS
            if (found[step]["digest"] != code_digest(step, device)[:16] if step in found else step != "halve")
        ],
        profile=tags.get("profile"),
        commit=tags.get("commit"),
    )


def submit(
    cluster: Cluster,
    run: Run,
    changes: Parameters,
    *,
    profile: str | None = None,
    registry: str | None = None,
    device: str | None = None,
    resume: str | None = None,
    allow_code_change: bool = False,
) -> Run:
    """Start the run again with other parameters, in the same experiment, and of the same version if it can be.

    Raises:
        ParameterError: A parameter that can't be right.
        ClusterError: The code is not the run's, and `allow_code_change` was not said.
    """
    earlier = look_at(cluster, run)
    values = pipeline_parameters.checked(earlier.parameters | changes)
    root = root_of(run, None)
    known = profiles.load(earlier.profile) if earlier.profile in profiles.names() else None
    check_visible(values, root, known)
    # Digests stay the run's unless what they are of is another: photos that were changed since are refused by prepare,
    # and not taken for those of the run. The run takes those that are left empty itself.
    values |= Artifacts(cluster).digests(run, root) or {}
    for kind, names in (("dataset", {"dataset"}), ("weights", {"weights", "backbone"})):
        if names & changes.keys():
            values[f"{kind}_digest"] = ""
    other_code = bool(earlier.changed) or earlier.names != values.keys()
    if other_code and not allow_code_change:
        raise ClusterError(code_change(run.run_id, earlier))
    other_shape = shape(values) != shape(earlier.parameters)
    mounted = "dataset" in changes and addresses.is_volume(values["dataset"])  # perhaps another than the run's
    # Pods that did not read the store of an installation as shipped were not told how to reach it.
    to_store = any(str(changes.get(kind, "")).startswith("minio://") for kind in ("dataset", "weights", "drift"))
    if (
        not (other_code or profile or registry or device or resume or mounted or to_store or other_shape)
        and run.pipeline_version_reference
    ):
        said = describe(values, earlier.profile or "unknown", earlier.commit, again=run.run_id)
        return resubmit(cluster, run, values, said)
    name = profile or earlier.profile
    if name is None or (profile is None and name not in profiles.names()):
        raise ParameterError(f"Run {run.run_id} was compiled with a profile that is not known here. Pass --profile.")
    loaded = profiles.load(name)
    text = package(
        loaded,
        earlier.registry if registry is None else registry,
        device or (None if profile else earlier.device),
        resume or loaded.resume or earlier.resume,
        (root, str(values["dataset"]), str(values["weights"]), str(values["drift"])),
        shape(values),
    )
    commit = runs.commit()
    uploaded = version(cluster, text, loaded.name, commit)
    said = describe(values, loaded.name, commit, again=run.run_id)
    return resubmit(cluster, run, values, said, uploaded)


def code_change(run_id: str, earlier: Earlier) -> str:
    """Which steps a rerun would run again, and what to do about it."""
    if not earlier.changed:
        return (
            f"The pipeline's parameters are not those of run {run_id} any more. Pass --allow-code-change to submit "
            "today's pipeline; what its new parameters concern runs again."
        )
    commit = f" (commit {earlier.commit})" if earlier.commit else ""
    return (
        f"The code of {', '.join(earlier.changed)} is not what run {run_id} had{commit}. With today's code these steps "
        f"would run again, for every seed and switch epoch: {', '.join(downstream(earlier))}. "
        "Pass --allow-code-change to do that (after `make images`), or check out that run's code."
    )


def downstream(earlier: Earlier) -> list[str]:
    """The steps that run again when some changed: these, and all that read what they make."""
    there = [step for step in CACHED_STEPS if step != "halve" or earlier.parameters.get("search") == "halving"]
    changed = list(map(STEPS.index, earlier.changed))
    return [step for step in there if changed and STEPS.index(step) >= min(changed)]
