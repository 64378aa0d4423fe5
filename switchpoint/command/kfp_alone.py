"""kfp without what needs Kubernetes' client: importing that takes a second, and only a cluster needs it."""

import contextlib
import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any


def load() -> None:
    """Import kfp for what runs, plans or compiles. Who needs the client imports `kfp.client`, and gets it."""
    with _left_out("kfp.client", "Client"):
        importlib.import_module("kfp")


def kubernetes() -> Any:
    """kfp.kubernetes, without node affinity, for which its types are those of Kubernetes' client."""
    with _left_out("kfp.kubernetes.node_affinity", "add_node_affinity", "add_node_affinity_json"):
        return importlib.import_module("kfp.kubernetes")


@contextlib.contextmanager
def _left_out(module: str, *names: str) -> Iterator[None]:
    """While kfp imports these names of its module, they are None; afterwards whoever imports the module gets it."""
    if module in sys.modules:
        yield
        return
    nothing = types.ModuleType(module)
    vars(nothing).update(dict.fromkeys(names))
    sys.modules[module] = nothing
    try:
        yield
    finally:
        del sys.modules[module]
