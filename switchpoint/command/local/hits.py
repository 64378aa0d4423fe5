"""kfp's local cache, with a key that holds what it should, and checked: a hit is what its step left behind.

Beside `orchestrator` the only file that reaches into kfp.local.
"""

from __future__ import annotations

import contextlib
import copy
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp import dsl
from kfp.local import cache

from switchpoint.command.local.interfaces import Observer, Outputs
from switchpoint.command.runs import outputs
from switchpoint.command.runs.store import held, relative, whole

if TYPE_CHECKING:
    from switchpoint.command.documents import Step

this_thread = threading.local()  # `step`: the one that it is at; `broken`: why its entry does not count


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute is another one meanwhile, and for good where Ctrl-C ends that.

    A second Ctrl-C does not wait for kfp's threads: with kfp's own functions back they would say what they do, and
    start the next steps themselves.
    """
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException:
        setattr(owner, name, original)
        raise
    setattr(owner, name, original)


@contextlib.contextmanager
def checked_cache(
    runs_directory: Path, observer: Observer, writes: bool, verify: bool, installed: str | None
) -> Iterator[None]:
    """A hit is what its step left behind: kfp's own takes whatever is there, and checks that the path exists.

    Paths in keys and entries are relative to the runs' directory, which may be moved.

    Args:
        runs_directory: Where runs write.
        observer: Told of each hit.
        writes: Whether what is done goes to the cache.
        verify: Read every file of a hit.
        installed: Digest of the packages that run the steps; None: those of their images, whose names have it.
    """
    get, put, compute_key = cache.LocalCache.get, cache.LocalCache.put, cache.LocalCache.compute_key
    serialize, deserialize = cache.LocalCache._serialize_artifact, cache.LocalCache._deserialize_artifact

    def keyed(
        self: cache.LocalCache,
        component_name: str,
        *,
        arguments: dict[str, Any],
        env_vars: dict[str, str],
        **others: Any,
    ) -> str:
        arguments = {name: _plain(_relative(value, runs_directory)) for name, value in arguments.items()}
        if installed:
            this_thread.step["packages"] = installed
            env_vars = env_vars | {"SWITCHPOINT_PACKAGES": installed}
        # `comp-finetune-3` is what `comp-finetune` is in a pipeline of another shape; a cluster's key has no name, too.
        return str(compute_key(self, named(component_name), arguments=arguments, env_vars=env_vars, **others))

    def checked(self: cache.LocalCache, key: str) -> Outputs | None:
        with held(runs_directory) if writes else contextlib.nullcontext():
            found: Outputs | None = get(self, key)
            if found is None:
                return None
            this_thread.broken = outputs.changed(_described(found), contents=verify, refresh=writes)
            if this_thread.broken:
                return None
            step: Step = this_thread.step
            step["state"], step["why"] = "cached", "nothing that it depends on has changed"
            step["outputs"] = addresses(found)
            observer.took(step)
            return found

    def remembered(self: cache.LocalCache, key: str, made: Outputs) -> None:
        if writes:
            outputs.remember(_described(made))
            put(self, key, made)

    def written(artifact: dsl.Artifact) -> Outputs:
        return dict(serialize(_relative(artifact, runs_directory)))

    def read(entry: Outputs) -> dsl.Artifact:
        return deserialize(entry | {"uri": whole(runs_directory, entry["uri"])})

    with (
        replaced(cache.LocalCache, "_serialize_artifact", written),
        replaced(cache.LocalCache, "_deserialize_artifact", read),
        replaced(cache.LocalCache, "get", checked),
        replaced(cache.LocalCache, "put", remembered),
        replaced(cache.LocalCache, "compute_key", keyed),
    ):
        yield


def _relative(value: Any, runs_directory: Path) -> Any:
    """An artifact, or a list of them, with a path relative to the runs' directory; anything else as it is."""
    if isinstance(value, list):
        return [_relative(each, runs_directory) for each in value]
    if isinstance(value, dsl.Artifact):
        value = copy.copy(value)
        value.uri = relative(runs_directory, value.uri)
    return value


def _plain(value: Any) -> Any:
    """A number as JSON has it: what another step put out comes as 1.0 where the command gives 1."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _artifacts(made: Outputs) -> dict[str, dsl.Artifact]:
    """Without parameters, such as who goes on in a search."""
    return {name: each for name, each in made.items() if isinstance(each, dsl.Artifact)}


def addresses(made: Outputs) -> dict[str, str]:
    """Where the artifacts of a step lie."""
    return {name: each.uri for name, each in _artifacts(made).items()}


def _described(made: Outputs) -> dict[str, outputs.Output]:
    return {
        name: outputs.Output(Path(each.uri), each.metadata.get("digest")) for name, each in _artifacts(made).items()
    }


def named(component: str) -> str:
    """The step's name: a component that is used twice has a number, too."""
    return re.sub(r"^comp-(\w+?)(-\d+)?$", r"\1", component)
