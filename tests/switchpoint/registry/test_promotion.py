"""What becomes of margins over many promotions: a real registry, and answers that are drawn instead of a model's."""

import json
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from switchpoint.command import mlflow
from switchpoint.errors import PromotionError
from switchpoint.registry import lock, promotion
from switchpoint.registry.promotion import champions, promote, rollback
from switchpoint.registry.versions import Version
from switchpoint.tracking import OF_RUN
from tests.stores.proxy import Bucket

PHOTOS = 4000


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    warnings.simplefilter("ignore")  # SQLAlchemy's, of MLflow
    found = mlflow.client(f"sqlite:///{tmp_path_factory.mktemp('registry')}/mlflow.db")
    mlflow.experiment(found, found.tracking_uri)
    return found


@pytest.fixture
def registered(client: Any, request: pytest.FixtureRequest) -> Any:
    """Make a version that names so many points of the photos right: the hardest ones are wrong."""
    name, accuracies = request.node.name, dict[int, float]()
    client.create_registered_model(name)
    from mlflow import set_tracking_uri

    set_tracking_uri(client.tracking_uri)

    def add(accuracy: float) -> int:
        model = client.create_logged_model("1", "best").model_id
        client.finalize_logged_model(model, "READY")
        made = client.create_model_version(name, f"models:/{model}", tags={OF_RUN: "a run"})
        accuracies[int(made.version)] = accuracy
        return int(made.version)

    class Drawn:
        def right(self, _: str, versions: Sequence[Version]) -> dict[int, Any]:
            hard = np.arange(PHOTOS) / PHOTOS * 100
            return {each.number: (hard < accuracies[each.number]).astype(float) for each in versions}

    add.name, add.photos = name, Drawn  # type: ignore[attr-defined]
    return add


def judged(client: Any, registered: Any, margin: float = 1.0) -> promotion.Promotion:
    return promote(client, client.tracking_uri, registered.name, None, margin, lambda _: registered.photos())


def test_a_margin_is_given_once_and_not_with_each_promotion(client: Any, registered: Any) -> None:
    registered(80)
    judged(client, registered)
    outcomes = []
    for step in range(1, 7):  # each half a point below the one before
        registered(80 - step / 2)
        outcomes.append(judged(client, registered).outcome)
    assert outcomes == ["promoted", "undecided", "worse", "worse", "worse", "worse"]
    registered(79.6)
    last = judged(client, registered)
    assert last.outcome == "promoted" and list(last.against) == [2, 1]  # the champion, and the best ever
    assert [each["best"] for each in champions(client, registered.name)] == [1, 1, 1]


def test_a_better_one_raises_the_bar_and_rollback_lowers_it_again(client: Any, registered: Any) -> None:
    registered(80)
    judged(client, registered)
    registered(85)
    judged(client, registered)
    assert champions(client, registered.name)[-1] == {"version": 2, "best": 2}
    rollback(client, registered.name)
    assert champions(client, registered.name)[-1] == {"version": 1, "best": 1}
    registered(80.2)
    assert judged(client, registered).outcome == "promoted"


def test_what_was_killed_between_history_and_alias_is_not_counted(client: Any, registered: Any) -> None:
    registered(80)
    judged(client, registered)
    told = [{"version": 1, "best": 1}, {"version": 2, "best": 2}]
    client.set_registered_model_tag(registered.name, promotion.CHAMPIONS, json.dumps(told))
    assert champions(client, registered.name) == told[:1]
    with pytest.raises(PromotionError, match="none to go back to"):
        rollback(client, registered.name)


def test_a_bucket_is_a_lock_too(bucket: Bucket) -> None:
    place = f"{bucket.scheme}://{bucket.bucket}/locks"
    with lock.held(place):
        assert [name for name in bucket.names() if name.startswith("locks/.promotion/")]
    assert not bucket.names()
