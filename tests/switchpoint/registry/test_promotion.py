"""What becomes of margins over many promotions: a real registry, and answers that are drawn instead of a model's."""

import json
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from switchpoint.command import mlflow
from switchpoint.errors import PromotionError, StorageError
from switchpoint.registry import lock, promotion
from switchpoint.registry.promotion import champions, promote, rollback
from switchpoint.registry.versions import Version
from switchpoint.tracking import OF_RUN
from tests.stores.proxy import Bucket

pytestmark = pytest.mark.slow

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


def judged(client: Any, registered: Any, **options: Any) -> promotion.Promotion:
    return promote(client, client.tracking_uri, registered.name, None, 1.0, lambda _: registered.photos(), **options)


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


def test_a_rollback_that_was_killed_loses_no_history(
    client: Any, registered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for accuracy in (90, 89.7):
        registered(accuracy)
        judged(client, registered)
    told = champions(client, registered.name)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(type(client), "set_registered_model_tag", killed)
        rollback(client, registered.name)
    assert champions(client, registered.name) == told[:1]
    assert told == [{"version": 1, "best": 1}, {"version": 2, "best": 1}]


def test_what_a_person_took_back_a_person_alone_promotes_again(client: Any, registered: Any) -> None:
    for accuracy in (80, 82):
        registered(accuracy)
        judged(client, registered)
    rollback(client, registered.name)
    with pytest.raises(PromotionError, match=r"was rolled back.*promote .* --version 2"):
        judged(client, registered)  # a recurring run, whose model comes from the cache
    assert judged(client, registered, again=True).outcome == "promoted"
    assert judged(client, registered).outcome == "champion"


def test_a_champion_that_was_deleted_lets_nothing_in_and_a_best_that_was_blocks_nothing(
    client: Any, registered: Any
) -> None:
    for accuracy in (90, 89.7):
        registered(accuracy)
        judged(client, registered)
    client.delete_model_version(registered.name, "1")  # the best ever
    registered(89.5)
    assert judged(client, registered).outcome == "promoted"
    assert [each["best"] for each in champions(client, registered.name)] == [2, 2]
    client.delete_model_version(registered.name, "3")  # the champion, and its alias with it
    registered(50)
    with pytest.raises(PromotionError, match="no version has the alias `champion`: it was deleted"):
        judged(client, registered)
    assert rollback(client, registered.name).startswith("Version 2 of ")
    assert judged(client, registered).outcome == "worse"


def test_a_registry_that_does_not_answer_refuses_nothing(
    client: Any, registered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    def away(*_: object) -> None:
        raise MlflowException("API request failed: Read timed out")

    registered(80)
    monkeypatch.setattr(type(client), "get_registered_model", away)
    with pytest.raises(MlflowException, match="timed out"):
        judged(client, registered)


def test_nothing_moves_once_the_lock_was_lost(client: Any, registered: Any) -> None:
    def lost() -> None:
        raise StorageError("lost")

    registered(80)
    with pytest.raises(StorageError, match="lost"):
        judged(client, registered, sure=lost)
    assert champions(client, registered.name) == []


def test_a_bucket_is_a_lock_too(bucket: Bucket) -> None:
    place = f"{bucket.scheme}://{bucket.bucket}/locks"
    with lock.held(place):
        assert [name for name in bucket.names() if name.startswith("locks/.promotion/")]
    assert not bucket.names()
