"""The pipeline as the YAML that a cluster takes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kfp import compiler

from pipeline import SWEEP, shaped
from switchpoint.command import profiles
from switchpoint.provenance.digests import DEVICE, REGISTRY

if TYPE_CHECKING:
    from switchpoint.documents.lineage import Parameters


def package(
    profile: profiles.Profile,
    registry: str | None = None,
    device: str | None = None,
    resume: str | None = None,
    uses: Sequence[str] = (),
    shape: str = SWEEP,
    defaults: Parameters | None = None,
    pipeline_root: str | None = None,
) -> str:
    """The compiled pipeline: equal code, profile, registry, device, shape and defaults give equal text.

    Args:
        profile: Where each step runs.
        registry: Where the images were pushed; by default $SWITCHPOINT_REGISTRY, or none.
        device: `gpu` or `cpu` images; by default $SWITCHPOINT_DEVICE, or what the profile asks for.
        resume: Where trainings keep their state; by default what the profile says.
        uses: Addresses that its runs use: pods see the volume, or are told of the store, that one is in.
        shape: Which steps there are.
        defaults: Of parameters that its runs are not given; None: those of the signature.
        pipeline_root: Of runs that do not say it; None: as the cluster is set.
    """
    registry = os.environ.get(REGISTRY, "") if registry is None else registry
    with (
        environment({REGISTRY: registry, DEVICE: device or os.environ.get(DEVICE) or profile.device}),
        profiles.using(profiles.for_run(profile, resume, uses)),
        tempfile.TemporaryDirectory() as directory,
    ):
        path = Path(directory, "pipeline.yaml")
        pipeline = shaped(shape)
        if pipeline_root:
            pipeline.pipeline_spec.default_pipeline_root = pipeline_root
        compiler.Compiler().compile(pipeline, str(path), pipeline_parameters=defaults)
        return path.read_text(encoding="utf-8")


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables of this process, and what it starts, for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def compile_pipeline(
    output: Path,
    profile: profiles.Profile,
    registry: str | None = None,
    device: str | None = None,
    resume: str | None = None,
    uses: Sequence[str] = (),
    shape: str = SWEEP,
) -> None:
    """Write `package` to a file."""
    text = package(profile, registry, device, resume, uses, shape)
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f"part-{output.name}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(output)
