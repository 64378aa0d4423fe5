"""What decides a training's bits besides its code, parameters and inputs: what computes it, and with which packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "pillow")
# Other kernels, or other precisions, for the same network.
VARIABLES = ("TF_ENABLE_ONEDNN_OPTS", "TF_XLA_FLAGS", "XLA_FLAGS", "NVIDIA_TF32_OVERRIDE")


def surroundings() -> dict[str, str]:
    """As text, for the key that a training's state lies under."""
    return {
        "devices": ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(devices()).items())),
        "threads": threads(),
        "packages": ", ".join(f"{name} {version}" for name, version in versions().items()),
        "variables": " ".join(f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ),
    }


def devices() -> list[str]:
    """The kind of each device that `replicas.strategy` trains on; a CPU's model, since kernels are chosen by it."""
    import tensorflow as tf

    if count := len(tf.config.list_logical_devices("GPU")):
        kinds = [
            str(tf.config.experimental.get_device_details(device).get("device_name", "GPU"))
            for device in tf.config.list_physical_devices("GPU")
        ]
        # Logical devices are parts of physical ones; TensorFlow does not say of which.
        return kinds if len(kinds) == count else [f"part of {' and '.join(sorted(set(kinds)))}"] * count
    return [_processor()] * len(tf.config.list_logical_devices("CPU"))


def threads() -> str:
    """How many threads share a kernel of a CPU; empty where GPUs compute.

    They share a gradient's sum too: fine-tuning with 1, 2 and 4 of them gave three models, op determinism or not. How
    many kernels run side by side changed nothing.
    """
    import tensorflow as tf

    if tf.config.list_logical_devices("GPU"):
        return ""
    return str(tf.config.threading.get_intra_op_parallelism_threads() or _told() or _cores())


def _told() -> int:
    """What TensorFlow is told by the environment, which its configuration does not show: 0 or rubbish is nothing."""
    found = re.fullmatch(r"\s*\+?(\d+)\s*", os.environ.get("TF_NUM_INTRAOP_THREADS", ""), re.ASCII)
    return int(found[1]) if found else 0


def _cores() -> int:
    """What TensorFlow takes when it is not told: the cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Python's version, and those of the packages that compute, as they are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
