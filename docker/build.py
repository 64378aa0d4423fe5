"""Build each step's image under its digest tag; what is there already is not built again.

python docker/build.py [STEP …] [--device cpu|gpu] [--registry HOST/PATH] [--base-image IMAGE] [--push]
"""

import argparse
import ast
import configparser
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from switchpoint.provenance import digests as identity

DOCKER = Path(__file__).resolve().parent
# Labels of an image: what it was built on.
BASE, BASE_ID = "switchpoint.base", "switchpoint.base-id"
# What a build may need to reach a package index; find-links or cache-dir, paths of this machine, mean nothing inside.
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries")


def main(arguments: list[str] | None = None) -> None:
    """Build, and with --push push, the images asked for; print each one's name and size."""
    options = parse(arguments)
    with alone():
        for step in options.steps:
            name = identity.image(step, registry=options.registry, device=options.device)
            if (found := labels(name)) is not None and fits(name, found, *base(options)):
                state = "there already"
            else:
                with context(step) as directory:
                    build(step, name, directory, options)
                state = "built"
            if options.push:
                state += ", " + push(name)
            print(f"{name}  {size(name) / 1e6:,.0f} MB  {state}", flush=True)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait for another build of this tree: two at once would not share their layers."""
    import fcntl

    lock = identity.ROOT / "build" / "images.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another build of this tree.", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Flags, with the environment (`make images DEVICE=cpu`) as their defaults."""
    parser = argparse.ArgumentParser(description="Build the image of each step under its digest tag.")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(identity.STEPS)}; all by default")
    parser.add_argument("--device", choices=("cpu", "gpu"), default=os.environ.get("DEVICE") or "gpu")
    parser.add_argument(
        "--registry", default=os.environ.get("REGISTRY", ""), help="for example europe-docker.pkg.dev/P/R"
    )
    parser.add_argument("--base-image", default=os.environ.get("BASE_IMAGE", ""), help="instead of the Dockerfile's")
    parser.add_argument("--network", default=os.environ.get("NETWORK", ""), help="host: an index that only it reaches")
    parser.add_argument("--push", action="store_true", default=os.environ.get("PUSH", "") not in ("", "0"))
    options = parser.parse_args(arguments)
    options.steps = options.steps or list(identity.STEPS)
    if unknown := [step for step in options.steps if step not in identity.STEPS]:
        parser.error(f"No step is called {', '.join(unknown)}. Steps: {', '.join(identity.STEPS)}.")
    if options.device not in ("cpu", "gpu"):  # argparse does not check a default
        parser.error(f"DEVICE is cpu or gpu, not {options.device!r}.")
    if options.push and not options.registry:
        parser.error("PUSH=1 needs a REGISTRY to push to.")
    if not shutil.which("docker"):
        parser.error("No docker command on PATH. Install Docker's client, or Debian's docker.io.")
    return options


@contextlib.contextmanager
def context(step: str) -> Iterator[Path]:
    """A build context of exactly what the Dockerfile copies, with modes that any uid can read."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        for lock in DOCKER.glob("requirements-*.txt"):
            shutil.copyfile(lock, directory / lock.name)
        write_pip_settings(directory / "pip")
        for file in identity.step_files(step):
            copy = directory / "app" / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(identity.ROOT / file, copy)
        for path in directory.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield directory


def write_pip_settings(directory: Path) -> None:
    """Hand on how this machine's pip reaches its index; the Dockerfile keeps it out of the image."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    # Lines are "global.index-url='…'" and ":env:.index-url='…'"; a variable wins over a file.
    found = dict(sorted((line.split("=", 1) for line in listed.splitlines() if "=" in line), reverse=True))
    settings = {key.rpartition(".")[2]: str(ast.literal_eval(value)) for key, value in found.items()}

    directory.mkdir()
    config = configparser.RawConfigParser()
    config["global"] = {key: settings[key] for key in PIP_SETTINGS if key in settings}
    if certificate := settings.get("cert"):
        shutil.copyfile(certificate, directory / "ca.pem")
        config["global"]["cert"] = "/pip/ca.pem"
    with (directory / "pip.conf").open("w", encoding="utf-8") as file:
        config.write(file)


def build(step: str, name: str, directory: Path, options: argparse.Namespace) -> None:
    """Run `docker build`, BuildKit or not."""
    target = identity.target(step, options.device)
    command = ["docker", "build", "--file", str(DOCKER / "Dockerfile"), "--target", target]
    command += ["--build-arg", f"SWITCHPOINT_DIGEST={identity.code_digest(step, options.device)}", "--tag", name]
    for label, value in zip((BASE, BASE_ID), base(options), strict=True):
        command += ["--label", f"{label}={value}"]
    if options.base_image:
        command += ["--build-arg", f"BASE_IMAGE={options.base_image}"]
    if options.network:
        command += ["--network", options.network]
    # With an attestation the image becomes an index, which `kind load` can't take.
    environment = {**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    subprocess.run([*command, str(directory)], check=True, env=environment)


def push(name: str) -> str:
    """Push unless the registry has the tag: it is a digest of the contents, so what is there is not replaced."""
    if subprocess.run(["docker", "manifest", "inspect", name], capture_output=True, check=False).returncode == 0:
        return "in the registry already"
    subprocess.run(["docker", "push", "--quiet", name], check=True, stdout=subprocess.DEVNULL)
    return "pushed"


def base(options: argparse.Namespace) -> tuple[str, str]:
    """What is built on: its name, and its id, which is empty where the engine does not have it yet."""
    default = re.search(r"^ARG BASE_IMAGE=(\S+)", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    name = options.base_image or (default[1] if default else "")
    return name, inspect(name, "{{.Id}}")


def labels(name: str) -> dict[str, str] | None:
    """Those of an image that the engine has; None: it has none of that name."""
    found = inspect(name, "{{json .Config.Labels}}")
    return json.loads(found) or {} if found else None


def fits(name: str, found: dict[str, str], base: str, identifier: str) -> bool:
    """Whether an image was built on that base; one whose base was moved since, or is not known, is built anew.

    Raises:
        SystemExit: It was built on another, which its name does not tell: an image's tag is a digest of all else.
    """
    built_on, its_identifier = found.get(BASE, ""), found.get(BASE_ID, "")
    same = identifier == its_identifier if identifier and its_identifier else base == built_on
    if not same and built_on not in ("", base):
        raise SystemExit(
            f"{name} is there, built on {built_on} and not on {base}, and its name does not tell the two apart. Give "
            f"these a path of their own with REGISTRY=… (docker/README.md), or remove that: docker image rm {name}"
        )
    return same


def inspect(name: str, format: str) -> str:
    """What the engine says of an image; empty: it does not have it."""
    command = ["docker", "image", "inspect", "--format", format, name]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def size(name: str) -> int:
    """Bytes of all layers, unpacked."""
    return int(inspect(name, "{{.Size}}"))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(error.cmd[:2])} failed (exit code {error.returncode}); its own message is above.")
