"""kfp without its client: `import kfp` brings the client along, and that all of Kubernetes' models, about a second."""

import importlib
import sys
import types


def load() -> None:
    """Import kfp for what runs, plans or compiles. Who needs the client imports `kfp.client`, and gets it."""
    if "kfp" in sys.modules:
        return
    nothing = types.ModuleType("kfp.client")
    nothing.Client = None  # type: ignore[attr-defined]  # kfp/__init__.py imports the name
    sys.modules["kfp.client"] = nothing
    try:
        importlib.import_module("kfp")
    finally:
        del sys.modules["kfp.client"]
