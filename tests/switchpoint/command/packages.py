"""What a compiled pipeline says of its steps' containers."""

from typing import Any

import yaml

from switchpoint.command import compilation, profiles


def compiled(profile: str, device: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline, and each executor's Kubernetes settings."""
    spec, platform = yaml.safe_load_all(compilation.package(profiles.load(profile), "registry.example", device))
    return spec, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def containers(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: executor["container"] for name, executor in spec["deploymentSpec"]["executors"].items()}


def step_of(executor: str) -> str:
    return executor.split("-")[1]
