"""Where the state of a training is kept: a directory, and a bucket of each real store."""

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kfp import dsl

from components.digest.component import digest
from switchpoint import addresses, storage
from switchpoint.errors import StorageError
from switchpoint.provenance.digests import ROOT
from switchpoint.training import resume, states
from switchpoint.training.resume import Resume
from tests.stores.proxy import Bucket
from tests.stores.s3 import S3


@dataclass(frozen=True)
class Config:
    seed: int = 1
    weights: str = "imagenet"


@pytest.fixture(params=["directory", "gcs", "s3"])
def root(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setattr(states, "BEAT", 0.1)
    monkeypatch.setattr(states, "LEASE", 1.0)
    if request.param == "directory":
        return str(tmp_path / "resume")
    return str(request.getfixturevalue(request.param).uri("some/resume"))


def opened(root: str, config: Config = Config(), until: int | None = None, **inputs: str) -> Resume:
    kept = Resume(root)
    kept.open("finetune", config, {"records": "a"} | inputs, until=until)
    return kept


def files(root: str) -> list[str]:
    if addresses.is_remote(root):
        return [item.name for item in storage.listing(f"{root}/")]
    return [str(path) for path in Path(root).rglob("*") if path.is_file()]


def save(kept: Resume, epoch: int) -> None:
    kept.save(epoch, 0, {"epoch": epoch}, {"weights/0000": np.full(3, epoch, np.float32)})


def epoch_of(state: tuple[dict[str, Any], Any] | None) -> int | None:
    return state and state[0]["epoch"]


def test_a_state_comes_back_as_it_was(root: str) -> None:
    with pytest.raises(KeyboardInterrupt), opened(root) as kept:
        assert kept.latest() is None
        for epoch in range(1, 5):
            save(kept, epoch)
        raise KeyboardInterrupt
    assert len([name for name in files(root) if name.endswith(".npz")]) == 2
    with opened(root) as kept:
        values, arrays = kept.latest() or ({}, {})
        assert values == {"epoch": 4}
        np.testing.assert_array_equal(arrays["weights/0000"], np.full(3, 4, np.float32))
        assert arrays["weights/0000"].dtype == np.float32


def test_the_last_state_of_a_training_that_ended_stays_until_it_is_old(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(root) as kept:
        for epoch in (1, 2):
            save(kept, epoch)
    assert sorted(name.rpartition("/")[2][:10] for name in files(root)) == ["ended.json", "epoch-0002"]
    with pytest.raises(KeyboardInterrupt), opened(root, Config(seed=2)):
        raise KeyboardInterrupt
    assert len(files(root)) == 2
    with opened(root) as kept:
        assert epoch_of(kept.latest()) == 2
        assert not [name for name in files(root) if name.endswith("ended.json")]
    monkeypatch.setattr(resume, "DAYS", 0.0)
    with pytest.raises(KeyboardInterrupt), opened(root, Config(seed=2)):
        raise KeyboardInterrupt
    assert files(root) == []


def test_a_rung_keeps_its_own_states_beside_those_that_have_gone_on_further(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opened(str(tmp_path)) as kept:
        for epoch in (6, 7):
            save(kept, epoch)
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), opened(str(tmp_path), until=5) as kept:
        assert kept.latest() is None
        for epoch in (1, 2, 3):
            save(kept, epoch)
        raise KeyboardInterrupt
    with opened(str(tmp_path), until=5) as kept:
        assert epoch_of(kept.latest()) == 3
        save(kept, 5)
    with opened(str(tmp_path)) as kept:
        assert epoch_of(kept.latest()) == 7


def test_the_command_removes_what_it_has_the_outputs_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for run, seed in (("a", 1), ("b", 2)):
        monkeypatch.setenv(resume.RUN, run)
        with opened(str(tmp_path), Config(seed)) as kept:
            save(kept, 1)
    with opened(str(tmp_path), Config(3)):
        resume.forget(tmp_path, lambda mark: mark["run"] == "a" and mark["step"] == "finetune")
        marks = [json.loads(Path(name).read_text()) for name in files(str(tmp_path)) if name.endswith("ended.json")]
        assert [mark["run"] for mark in marks] == ["b"]


def test_another_training_does_not_find_it(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt), opened(root) as kept:
        save(kept, 1)
        raise KeyboardInterrupt
    for other in (opened(root, Config(seed=2)), opened(root, records="b")):
        with other as kept:
            assert kept.latest() is None
    with monkeypatch.context() as patch:
        patch.setenv("SWITCHPOINT_DIGEST", "other code")
        with opened(root) as kept:
            assert kept.latest() is None
    # The same weights elsewhere are the same training.
    with opened(root, Config(weights="/elsewhere/imagenet.h5")) as kept:
        assert epoch_of(kept.latest()) == 1


@pytest.mark.parametrize("damage", ["torn", "changed"])
def test_a_damaged_state_gives_way_to_the_one_before(
    root: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt), opened(root) as kept:
        for epoch in (1, 2):
            save(kept, epoch)
        raise KeyboardInterrupt

    def spoil(epoch: int) -> None:
        name = next(name for name in files(root) if f"epoch-000{epoch}" in name)
        if addresses.is_remote(root):
            uri = f"{addresses.place(root)}/{name}"
            data = storage.read_bytes(uri)[0] or b""
            storage.write_bytes(uri, spoiled(data), "application/octet-stream")
        else:
            Path(name).write_bytes(spoiled(Path(name).read_bytes()))

    def spoiled(data: bytes) -> bytes:
        return data[: len(data) // 2] if damage == "torn" else data[:-1] + bytes([data[-1] ^ 1])

    spoil(2)
    with pytest.raises(KeyboardInterrupt), opened(root) as kept:
        assert epoch_of(kept.latest()) == 1
        raise KeyboardInterrupt
    assert "epoch-0002" in capsys.readouterr().out
    spoil(1)
    with opened(root) as kept:
        assert kept.latest() is None


def test_a_second_writer_keeps_nothing(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(root) as first:
        save(first, 1)
        with opened(root) as second:
            assert not second.keeps
            assert second.latest() is None
            save(second, 7)
        assert "another process trains the same" in capsys.readouterr().out
        assert epoch_of(first.latest()) == 1
    with opened(root) as third:
        assert third.keeps


def test_a_killed_process_frees_a_directory_at_once_and_a_bucket_after_the_lease(root: str) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\n"
            "from tests.switchpoint.training.test_resume import opened, save, states\n"
            "states.BEAT = 0.1\n"
            "kept = opened(sys.argv[1])\n"
            "save(kept, 3)\n"
            "print('held', flush=True)\n"
            "time.sleep(60)\n",
            root,
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert not opened(root).keeps
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with opened(root) as kept:
        assert epoch_of(kept.latest()) == 3


def test_who_lost_its_lock_in_a_bucket_writes_no_more(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(states, "BEAT", 0.1)
    root = bucket.uri("resume")
    with opened(root) as kept:
        save(kept, 1)
        lock = next(name for name in files(root) if name.endswith("lock.json"))
        bucket.put(lock, b'{"owner": "somebody else"}')
        deadline = time.monotonic() + 20
        while "nothing is saved there any more" not in capsys.readouterr().out:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        save(kept, 2)
        assert [name for name in files(root) if "epoch-0002" in name] == []
    assert bucket.get(lock) == b'{"owner": "somebody else"}'


@pytest.mark.parametrize("request_that_fails", ["GET .*lock.json", "(POST|PUT) .*"], ids=["read-back", "write"])
def test_a_lock_is_renewed_after_a_failure(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, request_that_fails: str
) -> None:
    monkeypatch.setattr(states, "BEAT", 0.1)
    monkeypatch.setattr(states, "LEASE", 1.0)
    root = bucket.uri("resume")
    with opened(root) as kept:
        lock = next(name for name in files(root) if name.endswith("lock.json"))
        bucket.fail(403, request_that_fails, message="not now")
        deadline = time.monotonic() + 10
        while bucket.faults[0].times:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.3)
        signed = bucket.get(lock)
        time.sleep(0.5)
        assert bucket.get(lock) != signed
        assert not opened(root).keeps
        save(kept, 1)
        assert [name for name in files(root) if "epoch-0001" in name]


def test_a_lock_whose_answer_was_lost_is_held(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "BEAT", 0.1)
    original = states.Bucket._owner
    calls = []

    def fails_once(lock: Any) -> str | None:
        calls.append(lock)
        if len(calls) == 1:
            raise StorageError("not now")
        return original(lock)

    monkeypatch.setattr(states.Bucket, "_owner", fails_once)
    with opened(bucket.uri("resume")) as kept:
        assert kept.keeps


@pytest.fixture
def named(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The bucket that the environment names, as of a component."""
    monkeypatch.setenv(states.RESUME, bucket.uri("resume"))
    return bucket


def test_a_bucket_that_can_be_used_is_left_as_it_was(named: Bucket) -> None:
    assert not Resume.from_environment().keeps
    assert named.names() == []


@pytest.mark.parametrize("lacks", ["WRITES", "READS", "LISTS", "DELETES"])
def test_a_bucket_without_a_right_is_an_error_before_training(named: Bucket, lacks: str) -> None:
    named.fail(403, getattr(named, lacks), times=100)
    with pytest.raises(
        StorageError, match=r"SWITCHPOINT_RESUME names .*resume, where .* may not .*--resume none\)\. No"
    ):
        Resume.from_environment()


def test_the_first_step_of_a_run_tries_the_bucket(s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(states.RESUME, "s3://no-such-bucket/states")
    with pytest.raises(StorageError, match=r"SWITCHPOINT_RESUME names s3://no-such-bucket/states, .* does not exist"):
        given = "sample", "", "efficientnet_lite0", "none", "", [1], [1], [0.1], "sweep", "", "", "sweep"
        digest.python_func(*given, dsl.Artifact(uri=str(tmp_path / "digests")))
    assert not (tmp_path / "digests").exists()


def test_a_store_that_keeps_no_conditions_is_an_error_before_training(
    named: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "keeps_conditions", lambda uri: False)
    with pytest.raises(StorageError, match=r"SWITCHPOINT_RESUME names .*resume, whose store takes a conditional write"):
        Resume.from_environment()


def test_of_two_that_come_at_once_one_has_the_lock(root: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        held = [kept for kept in pool.map(lambda _: opened(root), range(6)) if kept.keeps]
    assert len(held) == 1
    with held[0]:
        pass


def test_a_place_that_breaks_costs_the_state_but_not_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(str(tmp_path / "resume")) as kept:
        (place,) = [path for path in (tmp_path / "resume").iterdir() if path.is_dir()]
        place.rmdir()
        place.write_text("no directory any more")
        save(kept, 1)
        assert "could not be saved" in capsys.readouterr().out


def test_a_root_that_cant_be_used_is_an_error_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"SWITCHPOINT_RESUME names .*file"):
        opened(str(tmp_path / "file"))


def test_without_a_root_nothing_is_kept() -> None:
    with Resume.from_environment() as kept:
        kept.open("transfer", Config(), {})
        assert not kept.keeps
        assert kept.latest() is None
