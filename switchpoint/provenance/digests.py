"""What a step is made of, as a digest: the tag of its image and the key of its cache entries.

KFP keys its cache on the image's *name*, not on the code inside. So the name holds a digest of all that the step's
image holds: edit a step and its entries alone stop to match; edit nothing and everything matches (docs/adr/0002).
"""

import ast
import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STEPS = ("digest", "prepare", "transfer", "finetune", "halve", "evaluate", "collect", "report", "promote", "drift")
AT_END = ("promote", "drift")  # those that a run may ask for: they are never cached, nor is the first
CACHED_STEPS = tuple(step for step in STEPS[1:] if step not in AT_END)
TRAINING_STEPS = ("transfer", "finetune", "evaluate")
SEEDED_STEPS = (*TRAINING_STEPS, "halve", "collect")  # of which each seed has its own
REGISTRY = "SWITCHPOINT_REGISTRY"
DEVICE = "SWITCHPOINT_DEVICE"
# What the container knows its own digest by; docker/Dockerfile sets it.
DIGEST = "SWITCHPOINT_DIGEST"


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_digest(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, or of a directory's paths and contents."""
    if not path.is_dir():
        return file_digest(path)
    digest = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{file_digest(file)}\n".encode())
    return digest.hexdigest()


def json_digest(document: Mapping[str, Any], *without: str) -> str:
    """Hex SHA-256 of a document as JSON, but for some keys: the same before it is written and when it was read."""
    return hashlib.sha256(
        json.dumps({key: document[key] for key in document if key not in without}).encode()
    ).hexdigest()


def step_files(step: str) -> list[Path]:
    """The project's files that `step` runs: `step.py`, its wrapper, and what they import, transitively, sorted."""
    found: set[Path] = set()
    waiting = [Path("components", step, name) for name in ("step.py", "component.py")]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        waiting += _packages(path)
        if path.name != "__init__.py" or (ROOT / path).stat().st_size:
            waiting += _imports(path)
    return sorted(found)


def _packages(path: Path) -> Iterator[Path]:
    for parent in path.parents[:-1]:
        if (ROOT / parent / "__init__.py").exists():
            yield parent / "__init__.py"


def _imports(path: Path) -> Iterator[Path]:
    """The project's modules that a file imports, at module level or inside a function; not those for types alone."""
    for name in _named((ROOT / path).read_text(encoding="utf-8")):
        module = Path(*name.split("."))
        for candidate in (module.with_suffix(".py"), module / "__init__.py"):
            if (ROOT / candidate).exists():
                yield candidate


@functools.cache  # by content: five steps share most files, and an edited one is another key
def _named(source: str) -> tuple[str, ...]:
    """What may be the project's modules, of the names that a file imports."""
    found: list[str] = []
    for node in _running(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in found if name.split(".")[0] in ("switchpoint", "components"))


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """A tree's nodes, without what stands under `if TYPE_CHECKING`: it never runs."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        children: Iterable[ast.AST] = node.orelse
    else:
        children = ast.iter_child_nodes(node)
    yield node
    for child in children:
        yield from _running(child)


def target(step: str, device: str) -> str:
    """The Dockerfile's target, `cpu` or `gpu`: on a machine with GPUs only the steps that run a network need one."""
    return "gpu" if device == "gpu" and step in TRAINING_STEPS else "cpu"


@functools.cache
def code_digest(step: str, device: str = "cpu") -> str:
    """Hex SHA-256 over the step's files, the Dockerfile and the run-time lock of its target."""
    digest = hashlib.sha256()
    for path in [*step_files(step), Path("docker/Dockerfile"), Path(f"docker/requirements-{target(step, device)}.txt")]:
        content = (ROOT / path).read_bytes()
        digest.update(f"{path.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def image(step: str, registry: str | None = None, device: str | None = None) -> str:
    """The image's name: `REGISTRY/switchpoint-python-STEP:TARGET-DIGEST`.

    Args:
        step: One of `STEPS`.
        registry: Where images are pushed; by default $SWITCHPOINT_REGISTRY, or none.
        device: `cpu` or `gpu`; by default $SWITCHPOINT_DEVICE, or `cpu`.
    """
    registry = os.environ.get(REGISTRY, "") if registry is None else registry
    device = device or os.environ.get(DEVICE) or "cpu"
    # "python" keeps kfp's SubprocessRunner from warning about an image it does not use.
    name = f"switchpoint-python-{step}:{target(step, device)}-{code_digest(step, device)[:16]}"
    return f"{registry.rstrip('/')}/{name}" if registry else name
