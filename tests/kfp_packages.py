"""What Kubeflow Pipelines' API server takes as a package, and as a run's parameters."""

from collections.abc import Callable
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.kfp_limits import Refusal

TYPES: dict[str, Callable[[Any], bool]] = {
    "STRING": lambda value: isinstance(value, str),
    "NUMBER_INTEGER": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "NUMBER_DOUBLE": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "LIST": lambda value: isinstance(value, list),
    "BOOLEAN": lambda value: isinstance(value, bool),
}


def parsed(package: str) -> dict[str, Any]:
    """A package as kfp's messages, and back as the API shows it; an unknown field anywhere is an error."""
    spec, *platform = yaml.safe_load_all(package)
    try:
        message = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        if not platform:
            return dict(json_format.MessageToDict(message))
        (second,) = platform
        for settings in second["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
            json_format.ParseDict(settings, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
        other = json_format.ParseDict(second, pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError as error:
        raise Refusal(400, f"invalid pipeline spec: {error}") from error
    return {"pipeline_spec": json_format.MessageToDict(message), "platform_spec": json_format.MessageToDict(other)}


def check_parameters(spec: dict[str, Any], given: dict[str, Any]) -> None:
    """Refuse what a driver would fail on: a name that is not there, a value of another type, one that is missing."""
    inputs = spec.get("pipeline_spec", spec)["root"]["inputDefinitions"]["parameters"]
    for name, value in given.items():
        if name not in inputs or not TYPES[inputs[name]["parameterType"]](value):
            raise Refusal(400, f"parameter {name}={value!r} does not fit {inputs.get(name)}")
    if missing := inputs.keys() - given.keys():
        raise Refusal(400, f"parameters {sorted(missing)} are not given")
