"""Recurring runs on Kubeflow Pipelines: the pipeline again and again, by its own clock.

Every run of a schedule is started with the same parameters, of which the dataset's digest is left empty. Its first
step, which is never cached, takes that: where no photo has changed since, all else comes from the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kfp_server_api as api

from switchpoint.command.cluster import limits
from switchpoint.command.cluster.client import SEARCHED, parameters_of, state
from switchpoint.command.cluster.submission import describe, experiment_id, name_of, version
from switchpoint.command.errors import ClusterError
from switchpoint.errors import ParameterError

if TYPE_CHECKING:
    from switchpoint.command.cluster.client import Cluster
    from switchpoint.command.documents import Schedule
    from switchpoint.documents.lineage import Parameters

Recurring = Any  # kfp_server_api.V2beta1RecurringRun
NAME = 100  # bytes: KFP adds to it where it names a run


def cron(given: str) -> str:
    """A cron expression with its seconds, as Kubeflow Pipelines reads it; times are UTC.

    Its parser takes the first of five fields for seconds, too: `0 6 * * 1` would be six minutes past each hour in
    January.

    Args:
        given: Five fields, as crontab has them; six, of which the first are seconds; or `@weekly` and the like.

    Raises:
        ParameterError: It is neither.

    Source:
        https://pkg.go.dev/github.com/robfig/cron@v1.2.0, which backend/src/crd/controller/scheduledworkflow uses
    """
    fields = given.split()
    if len(fields) == 5:
        return " ".join(["0", *fields])
    if len(fields) == 6 or given.startswith("@"):
        return given
    raise ParameterError(
        f"--cron {given!r} has {len(fields)} fields. Give five (minute, hour, day, month, day of the week: '0 6 * * 1' "
        "is Mondays at 6:00 UTC), six with seconds before them, or @weekly."
    )


def create(
    cluster: Cluster,
    values: Parameters,
    package: str,
    when: str,
    *,
    name: str | None,
    profile: str,
    commit: str | None,
    experiment: str,
    pipeline_root: str | None,
    service_account: str | None,
) -> Recurring:
    """Let the cluster start runs of the package, which is uploaded when it is not there yet.

    One at a time, and none for times that went by while it was paused or the cluster was down.

    Args:
        cluster: Where.
        values: All of the pipeline's parameters, checked.
        package: The compiled pipeline.
        when: From `cron`.
        name: What it is called; by default what a run would be.
        profile: The name of the profile it was compiled with.
        commit: The code's, for people.
        experiment: What the UI groups its runs under; made when it is not there.
        pipeline_root: Where artifacts go; by default what the cluster is set to.
        service_account: What its pods run as; by default what the cluster is set to.

    Raises:
        ClusterError: There is one of this name, and two would train the same twice.
    """
    name = name or limits.text(name_of(values), NAME)
    if same := next((each for each in _listed(cluster) if each.display_name == name), None):
        raise ClusterError(
            f"There is a schedule {name!r} at {cluster.host}: {same.recurring_run_id}. Delete it first, or give "
            "another --name."
        )
    pipeline_id, version_id = version(cluster, package, profile, commit)
    body = api.V2beta1RecurringRun(
        display_name=name,
        description=describe(values, profile, commit),
        experiment_id=experiment_id(cluster, experiment),
        pipeline_version_reference=api.V2beta1PipelineVersionReference(
            pipeline_id=pipeline_id, pipeline_version_id=version_id
        ),
        runtime_config=api.V2beta1RuntimeConfig(parameters=values, pipeline_root=pipeline_root or None),
        service_account=service_account or None,
        # Else 2.17.0 starts the runs without its plugins. With them it forgets these parameters and this root, so the
        # package has them, too: https://github.com/kubeflow/pipelines, resource_manager.go, CreateJob.
        plugins_input={"mlflow": {}} if values["promote"] else None,
        trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=when)),
        max_concurrency="1",
        no_catchup=True,
        mode=api.RecurringRunMode.ENABLE,
    )
    unsure = "It may have been made all the same: look at `switchpoint schedules` first"
    with cluster.plainly("make the schedule", unsure=unsure):
        return cluster.client._recurring_run_api.recurring_run_service_create_recurring_run(recurring_run=body)


def every(cluster: Cluster) -> list[Schedule]:
    """The schedules of this pipeline, each with its newest run."""
    runs = cluster.runs(SEARCHED)
    found: list[Schedule] = []
    for each in _listed(cluster):
        last = next((run for run in runs if run.recurring_run_id == each.recurring_run_id), None)
        found.append(
            {
                **document(cluster, each),
                "last": None
                if last is None
                else {"id": last.run_id, "state": state(last), "started": last.created_at.isoformat()},
            }
        )
    return found


def document(cluster: Cluster, recurring: Recurring) -> Schedule:
    """A recurring run as `switchpoint schedules` shows it, without its runs."""
    return {
        "id": recurring.recurring_run_id,
        "name": recurring.display_name,
        "state": "paused" if recurring.status == "DISABLED" else "enabled",
        "cron": recurring.trigger.cron_schedule.cron,
        "parameters": parameters_of(recurring),
        "url": cluster.schedule_url(recurring.recurring_run_id),
        "last": None,
    }


def pause(cluster: Cluster, schedule: str) -> str:
    """Start no more runs; one that is under way goes on. Gives the schedule's name."""
    return _told(cluster, schedule, "disable", "pause")


def resume(cluster: Cluster, schedule: str) -> str:
    """Start runs again. Gives the schedule's name."""
    return _told(cluster, schedule, "enable", "resume")


def delete(cluster: Cluster, schedule: str) -> str:
    """Remove a schedule, which is named in full; its runs stay. Gives its name."""
    return _told(cluster, schedule, "delete", "delete", whole=True)


def _told(cluster: Cluster, schedule: str, verb: str, doing: str, whole: bool = False) -> str:
    found = _find(cluster, schedule)
    if whole and schedule not in (found.display_name, found.recurring_run_id):
        raise ClusterError(
            f"{schedule!r} is the start of the id of {found.display_name!r}: give its name or {found.recurring_run_id}."
        )
    with cluster.plainly(f"{doing} the schedule {schedule}"):
        getattr(cluster.client._recurring_run_api, f"recurring_run_service_{verb}_recurring_run")(
            found.recurring_run_id
        )
    return str(found.display_name)


def _find(cluster: Cluster, schedule: str) -> Recurring:
    """A schedule by its name, its id, or the id's start."""
    listed = _listed(cluster)
    found = [each for each in listed if each.display_name == schedule]
    found = found or [each for each in listed if schedule and each.recurring_run_id.startswith(schedule)]
    if len(found) == 1:
        return found[0]
    known = "; ".join(f"{each.display_name} ({each.recurring_run_id})" for each in found or listed) or "none"
    what = "There is no schedule" if not found else f"{len(found)} schedules are called, or begin with,"
    raise ClusterError(f"{what} {schedule!r} at {cluster.host}. There are: {known}.")


def _listed(cluster: Cluster) -> list[Recurring]:
    """The recurring runs of this pipeline that have a cron expression, newest first."""
    found: list[Recurring] = []
    token = ""
    while True:
        with cluster.plainly("list schedules"):
            page = cluster.client.list_recurring_runs(
                page_token=token, page_size=100, sort_by="created_at desc", namespace=cluster.own_namespace()
            )
        found += page.recurring_runs or []
        token = page.next_page_token or ""
        if not token:
            return [
                each
                for each in found
                if "switch_epochs" in parameters_of(each) and each.trigger and each.trigger.cron_schedule
            ]
