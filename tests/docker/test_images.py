import configparser
import importlib.util
import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.digest.component import digest
from components.digest.step import DigestConfig
from components.digest.step import digest as taken
from switchpoint.provenance import digests as identity
from tests.support import output

DOCKER = identity.ROOT / "docker"
STEP = "prepare"
ARBITRARY_USER = "123456:0"  # what OpenShift does: any uid, no name for it, group 0


@pytest.fixture(scope="module")
def image(build: Callable[[str], str]) -> str:
    return build(STEP)


def inside(image: str, *command: str, options: tuple[str, ...] = ()) -> str:
    hardened = ("--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
    return output("docker", "run", *hardened, "--user", ARBITRARY_USER, *options, image, *command)


@dsl.component(base_image="python", install_kfp_package=False)
def probe() -> str:
    import importlib
    import os

    for module in ("components.prepare.step", "keras", "matplotlib.pyplot", "tensorflow_datasets"):
        importlib.import_module(module)
    return os.environ["SWITCHPOINT_DIGEST"]


def executed(image: str, component: Any, inputs: dict[str, Any], place: Path) -> dict[str, Any]:
    """What a component gives, run in an image as KFP's launcher runs it."""
    outputs = place / "outputs"
    outputs.mkdir()
    outputs.chmod(0o777)
    kinds = {name: str(output.type) for name, output in component.component_spec.outputs.items()}
    files = [name for name, kind in kinds.items() if kind.startswith("system.")]
    executor_input = {
        "inputs": {"parameterValues": inputs},
        "outputs": {
            "parameters": {name: {"outputFile": f"/outputs/{name}"} for name in kinds.keys() - set(files)},
            "artifacts": {name: {"artifacts": [{"name": name, "uri": f"/outputs/{name}"}]} for name in files},
            "outputFile": "/outputs/executor_output.json",
        },
    }
    container = component.component_spec.implementation.container
    arguments = [json.dumps(executor_input) if word == "{{$}}" else word for word in container.args]
    inside(image, *container.command, *arguments, options=("--volume", f"{outputs}:/outputs"))
    values: dict[str, str] = json.loads((outputs / "executor_output.json").read_text())["parameterValues"]
    return values


class TestTheImage:
    # The first build installs TensorFlow.
    pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]  # noqa: RUF012

    def test_runs_a_component_as_an_arbitrary_user_on_a_read_only_root(self, image: str, tmp_path: Path) -> None:
        assert executed(image, probe, {}, tmp_path) == {"Output": identity.code_digest(STEP, "cpu")}

    def test_the_first_step_takes_the_digests_in_its_own(self, build: Callable[[str], str], tmp_path: Path) -> None:
        values: dict[str, Any] = {"dataset": "sample", "dataset_digest": "", "backbone": "efficientnet_lite0"}
        values |= {
            "weights": "imagenet",
            "weights_digest": "",
            "switch_epochs": [1, 2],
            "learning_rates": [0.1],
            "seeds": [1],
        }
        values |= {"search": "sweep", "drift": "", "promote": "", "shape": "sweep"}
        found = executed(build("digest"), digest, values, tmp_path)
        assert found == taken(DigestConfig.given(values))._asdict()

    def test_starts_what_it_is_told_as_a_numeric_user_that_is_not_root(self, image: str) -> None:
        config = json.loads(output("docker", "image", "inspect", "--format", "{{json .Config}}", image))
        assert not config.get("Entrypoint")
        assert re.fullmatch(r"[1-9]\d*:0", config["User"])
        assert f"SWITCHPOINT_DIGEST={identity.code_digest(STEP, 'cpu')}" in config["Env"]

    def test_holds_the_files_of_its_step_and_no_others(self, image: str) -> None:
        files = inside(image, "find", "/app", "-type", "f").split()
        assert sorted(files) == [f"/app/{file}" for file in identity.step_files(STEP)]

    def test_holds_the_locked_packages_and_no_others(self, image: str) -> None:
        code = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
        installed = inside(image, "python3", "-c", code)
        lock = (DOCKER / "requirements-cpu.txt").read_text()
        locked = re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE)

        def names(pairs: list[tuple[str, str]]) -> set[tuple[str, str]]:
            return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in pairs}

        assert names([tuple(line.split()) for line in installed.splitlines()]) == names(locked)

    def test_holds_no_compiler_no_cache_and_nothing_of_the_building_machines_pip(self, image: str) -> None:
        compilers = inside(image, "sh", "-c", "command -v cc gcc g++ c++ clang ld make || true")
        assert compilers == ""
        left = ["-path", "*/.cache/*", "-o", "-name", "pip.conf", "-o", "-path", "/pip", "-o", "-name", "*.whl"]
        assert (
            output("docker", "run", "--rm", "--user", "0", image, "find", "/", "-xdev", "-type", "f", "(", *left, ")")
            == ""
        )
        history = output("docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
        assert "pip" not in history

    def test_shares_all_layers_but_its_code_with_the_other_steps(self, image: str, build: Callable[[str], str]) -> None:
        def layers(name: str) -> list[str]:
            return json.loads(output("docker", "image", "inspect", "--format", "{{json .RootFS.Layers}}", name))

        mine, other = layers(image), layers(build("report"))
        assert mine[:-1] == other[:-1]
        assert mine[-1] != other[-1]

    def test_is_not_built_again_when_it_is_there(self, image: str, base_image: str) -> None:
        arguments = (STEP, "--device", "cpu", "--base-image", base_image)
        assert "there already" in output(sys.executable, DOCKER / "build.py", *arguments)

    def test_on_another_base_is_neither_built_nor_said_to_be_there(self, image: str, base_image: str) -> None:
        command = [sys.executable, str(DOCKER / "build.py"), STEP, "--device", "cpu", "--base-image", "another:base"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and done.stdout == ""
        assert f"{image} is there, built on {base_image} and not on another:base" in done.stderr


def test_hadolint_has_nothing_to_say() -> None:
    assert output(Path(sys.executable).with_name("hadolint"), DOCKER / "Dockerfile") == ""


@pytest.fixture
def build_module() -> object:
    specification = importlib.util.spec_from_file_location("docker_build", DOCKER / "build.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


NAMED, ITS_ID = {"switchpoint.base": "python:3.11-slim"}, {"switchpoint.base-id": "sha256:1"}


@pytest.mark.parametrize(
    ("labels", "base", "expected"),
    [
        (NAMED | ITS_ID, ("python:3.11-slim", "sha256:1"), True),
        (NAMED | ITS_ID, ("docker.io/library/python:3.11-slim", "sha256:1"), True),
        (NAMED | ITS_ID, ("python:3.11-slim", ""), True),
        (NAMED, ("python:3.11-slim", "sha256:1"), True),
        (NAMED | ITS_ID, ("python:3.11-slim", "sha256:2"), False),  # it has moved
        ({}, ("python:3.11-slim", "sha256:1"), False),  # of before there were labels
        (NAMED | ITS_ID, ("debian:12", "sha256:2"), "python:3.11-slim and not on debian:12"),
        (NAMED, ("debian:12", ""), "python:3.11-slim and not on debian:12"),
    ],
)
def test_an_image_is_there_already_only_on_the_base_that_is_asked_for(
    build_module: object, labels: dict[str, str], base: tuple[str, str], expected: bool | str
) -> None:
    if isinstance(expected, bool):
        assert build_module.fits("an-image", labels, *base) is expected
        return
    with pytest.raises(SystemExit, match=expected):
        build_module.fits("an-image", labels, *base)


def test_the_base_is_the_dockerfiles_unless_another_is_given(
    build_module: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "inspect", lambda *_: "")
    assert build_module.base(Namespace(base_image="")) == ("python:3.11-slim", "")
    assert build_module.base(Namespace(base_image="debian:12")) == ("debian:12", "")


def test_a_build_gets_the_machines_index_and_certificate(
    build_module: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_text("a certificate")
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://file.example/simple\nretries = 7\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:p%40ss@variable.example/simple")
    monkeypatch.setenv("PIP_CERT", str(certificate))
    monkeypatch.setenv("PIP_FIND_LINKS", "/a/folder/of/this/machine")

    build_module.write_pip_settings(tmp_path / "pip")

    config = configparser.RawConfigParser()
    config.read(tmp_path / "pip" / "pip.conf")
    assert config["global"]["index-url"] == "https://user:p%40ss@variable.example/simple"
    assert config["global"]["retries"] == "7"
    assert config["global"]["cert"] == "/pip/ca.pem"
    assert "find-links" not in config["global"]
    assert (tmp_path / "pip" / "ca.pem").read_text() == "a certificate"


def test_the_context_can_be_read_by_any_user_whatever_the_umask(build_module: object) -> None:
    umask = os.umask(0o077)
    try:
        with build_module.context(STEP) as directory:
            modes = {path.relative_to(directory): path.stat().st_mode & 0o777 for path in directory.rglob("*")}
            assert all(mode == (0o755 if (directory / path).is_dir() else 0o644) for path, mode in modes.items())
            assert Path("app/components/prepare/step.py") in modes
    finally:
        os.umask(umask)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--push"], "PUSH=1 needs a REGISTRY"),
        (
            ["train"],
            "No step is called train. Steps: digest, prepare, transfer, finetune, halve, evaluate, collect, report, "
            "promote, drift.",
        ),
    ],
)
def test_a_wrong_argument_is_named(
    build_module: object, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        build_module.parse(arguments)
    assert message in capsys.readouterr().err
