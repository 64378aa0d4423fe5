"""A step as a container of this machine."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import local

from switchpoint.data.sources import table
from switchpoint.storage.s3_client import MINIO
from switchpoint.training.resume import RUN
from switchpoint.training.states import RESUME


def runner(parameters: dict[str, Any]) -> local.DockerRunner:
    """Kfp's runner of containers, as this user, with what lies on this machine where the parameters say it is."""
    from docker.types import Mount

    dataset = Path(parameters["dataset"])
    beside = dataset.parent if dataset.suffix.lower() in table.SUFFIXES else dataset  # a table's photos
    paths = [beside, Path(parameters["weights"]), Path(parameters["drift"])]
    mounts = [
        Mount(target=str(path), source=str(path), type="bind", read_only=True)
        for path in dict.fromkeys(paths)
        if path.is_absolute() and path.exists()
    ]
    # What a profile or a file of this machine says stays here: give its values as variables.
    of_files = ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    store = {
        name: value for name, value in os.environ.items() if name.startswith(("AWS_", MINIO)) and name not in of_files
    }
    variables = store | {"HOME": "/tmp", RESUME: os.environ.get(RESUME, ""), RUN: os.environ.get(RUN, "")}
    return local.DockerRunner(mounts=mounts, user=f"{os.getuid()}:{os.getgid()}", environment=variables)


def run(
    sink: Callable[[str], None], client: Any, image: str, command: list[str], volumes: dict[str, Any], **arguments: Any
) -> int:
    """Kfp's own, but right: it loses the exit code of a container that removes itself (kubeflow/pipelines 13332).

    Args:
        sink: Gets what the container prints, in pieces.
        client: Docker's.
        image: Must be on this machine.
        command: What the container runs.
        volumes: What is mounted.
        arguments: Of Docker's `containers.run`.

    Returns:
        The container's exit code.
    """
    import docker

    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        sink(f"SwitchpointError: The image {image} is not on this machine. Build it with: make images DEVICE=cpu\n")
        return 1
    container = client.containers.run(image, command, detach=True, volumes=volumes, **arguments)
    try:
        for chunk in container.logs(stream=True, follow=True):
            sink(chunk.decode(errors="replace"))
        code = int(container.wait()["StatusCode"])
        if code > 128 and code - 128 in set(signal.Signals):
            sink(f"Killed by signal {code - 128} ({signal.Signals(code - 128).name}).\n")
        return code
    finally:
        container.remove(force=True)
