"""A volume of root's, as a new one is, and what opens it to a run's pods: user 1000, group 0."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from switchpoint.errors import StorageError
from switchpoint.provenance.digests import ROOT
from switchpoint.training.resume import Resume
from switchpoint.training.states import RESUME


@dataclass
class Config:
    seed: int = 1


JOB = ROOT / "k8s" / "resume-volume" / "job.yaml"


def as_a_pod(action: Callable[[], object]) -> str:
    """What goes wrong, if anything does, when the user of our images does it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(1000, 1000, 1000)
        try:
            action()
        except StorageError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading) as said:
        return said.read()


@pytest.fixture
def volume(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    if os.geteuid():
        pytest.skip("only root makes what is root's")
    # Not below tmp_path, into which nobody else may look.
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    monkeypatch.setenv(RESUME, str(path))
    yield path
    shutil.rmtree(path)


def test_a_volume_of_roots_is_refused_with_what_to_do(volume: Path) -> None:
    said = as_a_pod(Resume.from_environment)
    assert f"{RESUME} names {volume}, where this step may not write" in said
    assert "of user 0, group 0 (drwxr-xr-x), and the step is user 1000, group 0" in said
    assert f"chgrp 0 {volume} && chmod g+rwxs {volume}" in said
    assert "kubectl apply -k k8s/resume-volume" in said


def test_after_the_job_states_are_kept_there(volume: Path) -> None:
    def keep() -> None:
        with Resume.from_environment() as resume:
            resume.open("transfer", Config(), {})
            assert resume.keeps
            resume.save(1, 0, {}, {})

    (container,) = yaml.safe_load(JOB.read_text())["spec"]["template"]["spec"]["containers"]
    command = [word.replace("/resume", str(volume)) for word in container["command"]]
    subprocess.run(command, check=True, capture_output=True)
    assert as_a_pod(keep) == ""
    assert len(list(volume.glob("*/epoch-*.npz"))) == 1


def test_what_the_message_says_opens_it(volume: Path) -> None:
    command = as_a_pod(Resume.from_environment).partition("as root: ")[2].partition(". A cluster")[0]
    subprocess.run(["sh", "-ec", command], check=True)
    assert as_a_pod(Resume.from_environment) == ""


def test_kubernetes_takes_it_and_it_may_do_no_more_than_it_has_to(kustomize: str, tmp_path: Path) -> None:
    built = subprocess.run([kustomize, "build", JOB.parent], capture_output=True, text=True)
    assert (built.returncode, built.stderr) == (0, "")
    file = tmp_path / "manifest.yaml"
    file.write_text(built.stdout)
    validate = Path(sys.executable).with_name("kubernetes-validate")
    validated = subprocess.run([validate, "--strict", file], capture_output=True, text=True)
    assert validated.returncode == 0, validated.stdout + validated.stderr
    job: dict[str, Any] = next(one for one in yaml.safe_load_all(built.stdout) if one["kind"] == "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    # Each is one that Pod Security's baseline lets a container add.
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN", "FOWNER", "FSETID"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
