"""What a run on a cluster came to: from the store that it wrote to, or through Kubeflow's UI."""

import json
from typing import Any

import pytest
import yaml

from switchpoint.command.cluster import artifacts, results
from switchpoint.command.cluster.client import Cluster
from switchpoint.command.errors import ClusterError
from tests.kfp_server import Server
from tests.stores import s3 as s3_store
from tests.stores.proxy import Bucket
from tests.stores.s3 import S3
from tests.support import tasks_of
from tests.switchpoint.command.cluster.cases import ENDED, REPORT, Submit, begin, publish


def test_waiting_ends_with_the_report_from_the_bucket(server: Server, submit: Submit, bucket: Bucket) -> None:
    def play(run: Any) -> list[Any]:
        publish(bucket, run)
        return ENDED

    server.play = play
    result = submit("--wait", "--pipeline-root", bucket.uri("root"))
    assert result.exit_code == 0, result.output
    assert "79.0%" in result.output and "Switch after epoch 2." in result.output
    run = server.runs[0].run_id
    assert f"Report: {bucket.uri('root')}/switchpoint/{run}/report/0b5e1f9c/page" in result.output


def test_a_run_that_promotes_ends_with_a_step_of_its_own_and_says_what_came_of_it(
    server: Server, submit: Submit, bucket: Bucket
) -> None:
    def play(run: Any) -> list[Any]:
        publish(bucket, run)
        promoted = {"sentence": "Version 3 of food is promoted."}
        place = f"root/switchpoint/{run.run_id}/promote/0b5e1f9d/promotion"
        bucket.put(place, json.dumps(promoted).encode())
        return ENDED

    server.play = play
    result = submit("--promote", "food", "--wait", "--pipeline-root", bucket.uri("root"))
    assert result.exit_code == 0 and "Version 3 of food is promoted." in result.output, result.output
    step = tasks_of(yaml.safe_load(server.packages[0].split("\n---\n")[0]))["promote"]
    assert "enableCache" not in step.get("cachingOptions", {})
    submit("--wait", "--pipeline-root", bucket.uri("root"))
    assert "promote" not in tasks_of(yaml.safe_load(server.packages[1].split("\n---\n")[0]))


def test_a_cached_report_is_read_from_the_equal_run_that_made_it(
    server: Server, submit: Submit, bucket: Bucket
) -> None:
    server.play = lambda run: [*ENDED]
    root = ("--pipeline-root", bucket.uri("root"))
    submit(*root)
    submit(*root, "--seed", "9")
    for run in server.runs:
        run.state = "SUCCEEDED"
        begin(bucket, run)
    base = publish(bucket, server.runs[0])
    publish(bucket, server.runs[1])

    def play(run: Any) -> list[Any]:
        begin(bucket, run)
        return [*ENDED]

    server.play = play
    result = submit(*root, "--wait")
    assert f"Report: {base}/page" in result.output, result.output


def test_a_run_made_in_the_ui_with_its_lists_in_another_order_has_the_same_report(
    server: Server, submit: Submit, gcs: Any
) -> None:
    server.play = lambda run: [*ENDED]
    for _ in range(2):
        submit("--pipeline-root", gcs.uri("root"), "--seeds", "1,2,3")
    first, cloned = server.runs
    cloned.runtime_config.parameters |= {"seeds": "[3, 1, 2]", "switch_epochs": "[4, 2, 1]"}
    for run in server.runs:
        run.state = "SUCCEEDED"
        begin(gcs, run)
    base = publish(gcs, first)
    kubeflow = Cluster(host=server.host)
    assert results.read(kubeflow, kubeflow.find(cloned.run_id))["report"] == f"{base}/page"
    cloned.runtime_config.parameters["seeds"] = "[3, 1]"
    with pytest.raises(ClusterError, match="The report is not below"):
        results.read(kubeflow, kubeflow.find(cloned.run_id))


def test_what_came_of_a_promotion_is_in_the_runs_own_root_and_the_report_in_an_earlier_ones(
    server: Server, submit: Submit, gcs: Any
) -> None:
    server.play = lambda run: [*ENDED]
    submit("--pipeline-root", gcs.uri("root"))
    submit("--pipeline-root", gcs.uri("another"), "--promote", "food")
    first, second = server.runs
    for run, state in zip(server.runs, ("FAILED", "SUCCEEDED"), strict=True):  # the first one after its report
        run.state = state
        begin(gcs, run)
    base = publish(gcs, first)
    own = f"another/switchpoint/{second.run_id}"
    gcs.put(f"{own}/digest/0b5e1f9c/digests", gcs.get(f"root/switchpoint/{second.run_id}/digest/0b5e1f9c/digests"))
    gcs.put(f"{own}/promote/0b5e1f9d/promotion", b'{"sentence": "Version 3 of food is promoted."}')
    kubeflow = Cluster(host=server.host)
    found = results.read(kubeflow, kubeflow.find(second.run_id))
    assert (found["report"], found["promotion"]) == (
        f"{base}/page", {"sentence": "Version 3 of food is promoted."},
    )  # fmt: skip


@pytest.mark.parametrize("photos", ["changed", None])
def test_a_report_of_other_photos_is_not_the_runs(
    server: Server, submit: Submit, bucket: Bucket, photos: str | None
) -> None:
    server.play = lambda run: [*ENDED]
    root = ("--pipeline-root", bucket.uri("root"))
    submit(*root)
    server.runs[0].state = "SUCCEEDED"
    begin(bucket, server.runs[0])
    publish(bucket, server.runs[0])

    def play(run: Any) -> list[Any]:
        if photos:
            begin(bucket, run, photos)
        return [*ENDED]

    server.play = play
    result = submit(*root, "--wait")
    assert "The report is not below" in result.output and "79.0%" not in result.output


def test_a_report_that_is_not_to_be_had_is_said(server: Server, submit: Submit, bucket: Bucket) -> None:
    server.play = lambda run: ENDED
    result = submit("--wait", "--pipeline-root", bucket.uri("root"))
    assert result.exit_code == 0 and "The report is not below" in result.output and "tab Visualization" in result.output
    bucket.fail(403, times=100, message="me@example.com does not have storage.objects.list access to the bucket.")
    result = submit("--wait", "--pipeline-root", bucket.uri("root"))
    assert result.exit_code == 0 and ("permission storage.objects.list" in result.output) == (bucket.scheme == "gs")
    assert "may not" in result.output, result.output


@pytest.fixture
def shipped(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """An installation as shipped, of which no more is known here than --host: what its store holds, by address."""
    held: dict[str, bytes] = {}
    for name in artifacts.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    server.read = lambda bucket, key: held.get(f"minio://{bucket}/{key}")

    def play(run: Any) -> list[Any]:
        base = f"minio://mlpipeline/v2/artifacts/switchpoint/{run.run_id}/report/0b5e1f9c"
        held[f"{base}/results"] = json.dumps(REPORT).encode()
        server.outputs[run.run_id] = [f"{base}/page", f"{base}/results", f"{base}/executor-logs"]
        return ENDED

    server.play = play
    return held


def test_the_host_alone_is_enough_on_an_installation_as_shipped(
    server: Server, submit: Submit, shipped: dict[str, bytes]
) -> None:
    result = submit("--wait")
    assert result.exit_code == 0, result.output
    assert "79.0%" in result.output and "Switch after epoch 2." in result.output
    run = server.runs[0].run_id
    assert (
        f"Model:  minio://mlpipeline/v2/artifacts/switchpoint/{run}/report/0b5e1f9c/model/model.keras" in result.output
    )


def test_a_cached_report_is_found_without_a_root_too(server: Server, submit: Submit, shipped: dict[str, bytes]) -> None:
    submit("--wait")
    first = server.runs[0]
    first.state = "SUCCEEDED"

    def begin(run: Any) -> list[Any]:
        found = f"minio://mlpipeline/v2/artifacts/switchpoint/{run.run_id}/digest/0b5e1f9c/digests"
        shipped[found] = json.dumps({"dataset_digest": "d", "weights_digest": "w"}).encode()
        server.outputs[run.run_id] = [*server.outputs.get(run.run_id, []), found]
        return ENDED

    begin(first)
    server.play = begin
    result = submit("--wait")
    assert f"switchpoint/{first.run_id}/report/0b5e1f9c/page" in result.output, result.output


def test_a_login_and_a_namespace_go_with_what_is_read(
    server: Server, submit: Submit, shipped: dict[str, bytes]
) -> None:
    server.multi_user = True
    result = submit("--wait", "--namespace", "team", "--cookies", "authservice_session=secret")
    assert "79.0%" in result.output, result.output
    (headers,) = [headers for _, path, headers in server.requests if path.startswith("/artifacts/")]
    assert headers["Cookie"] == "authservice_session=secret"
    assert "secret" not in result.output
    submit("--wait", "--namespace", "team", "--token", "a-token")
    assert server.requests[-1][2]["authorization"] == "Bearer a-token"


def test_what_the_ui_cant_read_says_what_is_missing(server: Server, submit: Submit, shipped: dict[str, bytes]) -> None:
    server.read = lambda bucket, key: None
    result = submit("--wait")
    assert result.exit_code == 0
    assert f"Can't read minio://mlpipeline/v2/artifacts/switchpoint/{server.runs[0].run_id}/report" in result.output
    assert "it answers 500 Failed to get object in bucket: NoSuchKey" in result.output
    assert "AWS_ENDPOINT_URL" in result.output and "tab Visualization" in result.output
    server.read = lambda bucket, key: b"<html>log in</html>"
    assert "most likely a login page" in submit("--wait").output


def test_settings_of_another_store_do_not_get_in_the_way(
    server: Server, submit: Submit, s3: S3, shipped: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_store.environment(s3.url).items():
        monkeypatch.setenv(name, value)
    result = submit("--wait")
    assert "79.0%" in result.output, result.output
    assert s3.requests, "the store of the settings was asked first"
