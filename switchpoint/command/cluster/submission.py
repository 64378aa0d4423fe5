"""Starting runs on Kubeflow Pipelines, through kfp's own client.

Nothing is sent before every parameter was checked: the API takes any name and any value. One pipeline, one version for
each compiled package, many runs: KFP looks its cache up under the pipeline's name, and the UI groups runs by version.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import kfp_server_api

from switchpoint import addresses
from switchpoint.command import parameters as pipeline_parameters
from switchpoint.command import podstore, profiles
from switchpoint.command.cluster import limits
from switchpoint.command.cluster.client import Cluster, Run
from switchpoint.command.cluster.connection import quietly
from switchpoint.command.errors import ClusterError
from switchpoint.command.paths import expanded
from switchpoint.command.runs.steps import RATES, several
from switchpoint.errors import ParameterError
from switchpoint.storage import s3_errors

if TYPE_CHECKING:
    from switchpoint.documents.lineage import Parameters

PIPELINE = "switchpoint"
PLACES = {"dataset": "datasets", "weights": "weights", "drift": "photos"}  # where to upload what is here


def check_visible(
    values: Parameters, pipeline_root: str | None = None, profile: profiles.Profile | None = None
) -> None:
    """Refuse a dataset or weights that lie on this machine, where no pod sees them.

    Args:
        values: The pipeline's parameters.
        pipeline_root: Where artifacts go, if that is said.
        profile: Where the run's pods run, if that is known: which store they see goes by it.

    Raises:
        ParameterError: Says how to upload what is there, or that nothing is there; or what Kubeflow can't take.
    """
    limits.check_arguments(values, pipeline_root)
    for name, value in values.items():
        limits.check_characters(name, str(value))
    bucket = _bucket(pipeline_root, profile)
    # Who has no store of his own has that of Kubeflow, which is behind a port-forward.
    reached = f"\nBefore that, if it is not done: {s3_errors.FORWARD}." if bucket == podstore.SHIPPED_BUCKET else ""
    pipeline_parameters.check_addresses(values)
    for name, place in PLACES.items():
        value = str(values[name])
        if not addresses.is_local(value, name):
            continue
        path = expanded(value).resolve()
        target = f"{bucket}/{place}/{path.name}"
        raise ParameterError(
            f"{name}={value!r} is on this machine, where the cluster can't see it. Upload it, then pass its address:\n"
            f"  switchpoint upload {value} {target}\n"
            f"  --{name} {target}{reached}"
        )


def _bucket(pipeline_root: str | None, profile: profiles.Profile | None) -> str:
    """A bucket that the pods of a run see, as far as that can be told."""
    if pipeline_root and addresses.is_remote(pipeline_root):
        return addresses.place(pipeline_root)
    if profile and profile.store:
        return "s3://BUCKET"
    labels = [label for each in (profile.steps.values() if profile else ()) for label in each.node_selector or ()]
    on_gke = any(label.startswith("cloud.google.com/") for label in labels)
    return "gs://BUCKET" if on_gke else podstore.SHIPPED_BUCKET


def check_names(experiment: str, service_account: str | None) -> None:
    """Refuse names that Kubeflow Pipelines can't take; cut, they would be those of others.

    Raises:
        ParameterError: Says which, and how long it may be.
    """
    limits.check("--experiment", experiment, limits.EXPERIMENT)
    limits.check("--service-account", service_account or "", limits.SERVICE_ACCOUNT)


def name_of(values: Parameters) -> str:
    """What the run is called in the UI: `food-101 efficientnet_b0 1,2,4,8,14`, and several rates and seeds."""
    dataset = re.sub(r"(\.tar)?\.gz$|\.tgz$", "", str(values["dataset"]).removeprefix("tfds:").rstrip("/"))
    epochs = ",".join(map(str, values["switch_epochs"]))
    loops = {"rates": RATES, "seeds": "seeds"}
    others = "".join(
        f" {word} {','.join(map(str, values[name]))}" for word, name in loops.items() if several(values, name)
    )
    return limits.name(dataset.rpartition("/")[2], f" {values['backbone']} {epochs}{others}")


def describe(values: Parameters, profile: str, commit: str | None, again: str = "") -> str:
    """The run in a few words; addresses, which may be long and are among the parameters too, come last.

    Args:
        values: The pipeline's parameters.
        profile: The name of the profile.
        commit: The code's.
        again: The run that this one repeats, if it does.
    """
    epochs, rates, seeds = (", ".join(map(str, values[name])) for name in ("switch_epochs", RATES, "seeds"))
    return limits.text(
        f"{f'Run {again} again. ' if again else ''}"
        f"{values['transfer_epochs']} epochs of transfer learning, then {values['finetune_epochs']} of fine-tuning "
        f"from each of {epochs} at {rates}, for each of the seeds {seeds}. "
        f"Profile {limits.text(profile, limits.TAG)}, commit {commit or 'unknown'}. "
        f"Backbone {values['backbone']}, weights {values['weights']}, dataset {values['dataset']}."
    )


def submit(
    cluster: Cluster,
    values: Parameters,
    package: str,
    *,
    profile: str,
    commit: str | None,
    experiment: str = PIPELINE,
    pipeline_root: str | None = None,
    service_account: str | None = None,
) -> Run:
    """Start a run of the package, which is uploaded when it is not there yet.

    Args:
        cluster: Where.
        values: All of the pipeline's parameters, checked.
        package: The compiled pipeline.
        profile: The name of the profile it was compiled with.
        commit: The code's, for people.
        experiment: What the UI groups the run under; made when it is not there.
        pipeline_root: Where artifacts go; by default what the cluster is set to.
        service_account: What its pods run as; by default what the cluster is set to.
    """
    uploaded = version(cluster, package, profile, commit)
    group = experiment_id(cluster, experiment)
    said = describe(values, profile, commit)
    return _start(cluster, values, uploaded, group, pipeline_root, service_account, said)


def resubmit(
    cluster: Cluster, run: Run, values: Parameters, description: str, version: tuple[str, str] | None = None
) -> Run:
    """Start a run beside an earlier one: same experiment, root, account and, unless another is given, version."""
    reference = run.pipeline_version_reference
    root = run.runtime_config.pipeline_root if run.runtime_config else None
    version = version or (reference.pipeline_id, reference.pipeline_version_id)
    return _start(cluster, values, version, run.experiment_id, root, run.service_account, description)


def _start(
    cluster: Cluster,
    values: Parameters,
    version: tuple[str, str],
    experiment_id: str,
    pipeline_root: str | None,
    service_account: str | None,
    description: str,
) -> Run:
    body = kfp_server_api.V2beta1Run(
        experiment_id=experiment_id,
        display_name=name_of(values),
        description=description,
        pipeline_version_reference=kfp_server_api.V2beta1PipelineVersionReference(
            pipeline_id=version[0], pipeline_version_id=version[1]
        ),
        # Every parameter: one that is left to its default has another cache key than the same value given.
        runtime_config=kfp_server_api.V2beta1RuntimeConfig(parameters=values, pipeline_root=pipeline_root or None),
        service_account=service_account or None,
    )
    unsure = (
        "It may have been started all the same: look at `switchpoint runs` first. A run that was started and could not "
        f"be stored is in no list: kubectl -n {cluster.own_namespace() or 'kubeflow'} get workflows"
    )
    with cluster.plainly("start the run", unsure=unsure):
        return cluster.client._run_api.run_service_create_run(run=body)


def _pipeline(cluster: Cluster) -> str:
    """The pipeline's id; made when it is not there."""

    def find() -> str | None:
        with cluster.plainly("list pipelines"):
            found = cluster.client.list_pipelines(filter=_named(PIPELINE), namespace=cluster.own_namespace()).pipelines
        return found[0].pipeline_id if found else None

    def make() -> str:
        body = kfp_server_api.V2beta1Pipeline(
            name=PIPELINE,
            display_name=PIPELINE,
            description="After how many epochs of transfer learning should fine-tuning start?",
            namespace=cluster.own_namespace(),
        )
        return str(cluster.client._pipelines_api.pipeline_service_create_pipeline(pipeline=body).pipeline_id)

    return _found_or_made(cluster, find, make, "create the pipeline")


def version(cluster: Cluster, package: str, profile: str, commit: str | None) -> tuple[str, str]:
    """Ids of the pipeline and of its version that is this package, byte for byte; uploaded when it is not there."""
    pipeline_id = _pipeline(cluster)
    digest = hashlib.sha256(package.encode()).hexdigest()[:12]
    name = f"{limits.slug(profile, limits.VERSION - len(digest) - 1)}-{digest}".lstrip("-")
    tags = {"profile": limits.text(profile, limits.TAG), "commit": limits.text(commit or "unknown", limits.TAG)}

    def find() -> str | None:
        with cluster.plainly("list the pipeline's versions"):
            found = cluster.client.list_pipeline_versions(pipeline_id, filter=_named(name)).pipeline_versions
        return found[0].pipeline_version_id if found else None

    def make() -> str:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, f"{name}.yaml")
            path.write_text(package, encoding="utf-8")
            uploaded = cluster.client._upload_api.upload_pipeline_version(
                str(path),
                name=name,
                pipelineid=pipeline_id,
                description=f"Profile {tags['profile']}, commit {tags['commit']}.",
                tags=json.dumps(tags),
            )
        return str(uploaded.pipeline_version_id)

    return pipeline_id, _found_or_made(cluster, find, make, "upload the pipeline")


def _found_or_made(cluster: Cluster, find: Callable[[], str | None], make: Callable[[], str], doing: str) -> str:
    """Look, else make, and look again when someone else made it meanwhile."""
    if found := find():
        return found
    try:
        with cluster.plainly(doing):
            return make()
    except ClusterError as error:
        conflict = getattr(error.__cause__, "status", None) == 409
        if conflict and (found := find()):
            return found
        raise


def experiment_id(cluster: Cluster, name: str) -> str:
    """The experiment's id; made when it is not there."""
    with cluster.plainly(f"open the experiment {name!r}"), quietly():
        return str(cluster.client.create_experiment(name, namespace=cluster.namespace).experiment_id)


def _named(name: str) -> str:
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})
