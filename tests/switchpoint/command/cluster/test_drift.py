"""New photos against what a run on a cluster held out."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kfp_server import Server
from tests.new_photos import KNOWN, draw, trained
from tests.stores.proxy import Bucket
from tests.support import tasks_of
from tests.switchpoint.command.cluster.cases import ENDED, Submit, begin, call, publish

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return next((trained(tmp_path_factory.mktemp("drift")) / "artifacts").glob("*/transfer"))


def transferred(bucket: Bucket, run: Any, made: Path) -> list[str]:
    """What a run's transfer learning wrote: its addresses."""
    place = f"root/switchpoint/{run.run_id}/transfer/0b5e1f9c"
    for name in ("reference", "model/model.keras"):
        bucket.put(f"{place}/{name}", (made / name).read_bytes())
    return [bucket.uri(f"{place}/reference")]


def test_a_run_of_a_cluster_is_compared_with_also_where_its_training_came_from_the_cache(
    server: Server, submit: Submit, bucket: Bucket, made: Path, tmp_path: Path
) -> None:
    root = ("--pipeline-root", bucket.uri("root"))
    for flags in ((), ("--seeds", "5"), ("--seed", "9")):
        submit(*root, *flags)
    for run in server.runs:
        run.state = "SUCCEEDED"
        begin(bucket, run)
    host, page = ("--host", server.host), ("--html", str(tmp_path / "drift.html"))
    photos = str(draw(tmp_path / "darker", KNOWN, range(38, 50), 0.4))
    base = bucket.uri(f"root/switchpoint/{server.runs[0].run_id}")  # with an attempt that wrote nothing
    server.outputs[server.runs[0].run_id] = [f"{base}/digest/0b5e1f9c/digests", f"{base}/transfer/1c6f2a0d/reference"]
    none = call("drift", server.runs[0].run_id, photos, *host, *page)
    assert none.exit_code == 1 and "There is no object" in none.output and "has no reference" in none.output, (
        none.output
    )
    server.outputs[server.runs[0].run_id] += transferred(bucket, server.runs[0], made)
    first, of_another_seed, of_another_split = (
        call("drift", run.run_id[:8], photos, *host, *page) for run in server.runs
    )
    assert first.exit_code == of_another_seed.exit_code == 3, first.output
    assert "Drift is shown: the 36 new photos look otherwise than the 36" in of_another_seed.output
    assert of_another_split.exit_code == 1 and "has no reference" in of_another_split.output


def test_a_run_with_new_photos_has_a_step_for_them_and_says_what_came_of_it(
    server: Server, submit: Submit, bucket: Bucket
) -> None:
    def play(run: Any) -> list[Any]:
        publish(bucket, run)
        said = {"photos": bucket.uri("new"), "drift": None, "sentence": "Drift is shown: the 40 new photos …"}
        base = f"root/switchpoint/{run.run_id}/drift"
        bucket.put(f"{base}/0b5e1f9d/comparison", json.dumps(said).encode())
        bucket.put(f"{base}/9f0b5e1d/comparison", b"not whole")  # an attempt that was killed
        return ENDED

    server.play = play
    root = ("--pipeline-root", bucket.uri("root"))
    result = submit("--drift", bucket.uri("new"), "--wait", *root)
    assert result.exit_code == 0 and "Drift is shown: the 40 new photos …" in result.output, result.output
    step = tasks_of(yaml.safe_load(server.packages[0].split("\n---\n")[0]))["drift"]
    assert "enableCache" not in step.get("cachingOptions", {}) and "report" in step["dependentTasks"]
    submit("--drift", bucket.uri("new"), "--promote", "food", *root)
    step = tasks_of(yaml.safe_load(server.packages[1].split("\n---\n")[0]))["drift"]
    assert "promote" in step["dependentTasks"]  # where it fails, all else is there
    here = submit("--drift", "tests", *root)
    assert here.exit_code == 2 and "drift='" in here.output and "switchpoint upload" in here.output
