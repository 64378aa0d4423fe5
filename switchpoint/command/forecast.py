"""What a run on a cluster would do: its steps beside those of the runs that are there.

KFP can't be asked what is in its cache. Its key is a step's image, parameters and inputs, and these a run's parameters
and its compiled pipeline tell. So a step that a run there has made of the same is expected to come from the cache, and
everything else to run; where that is less than certain the notes say why.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from switchpoint import addresses
from switchpoint.command import parameters as pipeline_parameters
from switchpoint.command.cluster import rerun
from switchpoint.command.cluster.artifacts import Artifacts, root_of
from switchpoint.command.cluster.client import Cluster, parameters_of
from switchpoint.command.errors import ClusterError
from switchpoint.command.local.plan import plan
from switchpoint.command.local.why import explain
from switchpoint.command.parameters import DIGESTS
from switchpoint.command.runs.steps import place
from switchpoint.data import sources
from switchpoint.errors import ParameterError, StorageError
from switchpoint.provenance.digests import CACHED_STEPS, code_digest
from switchpoint.training.rungs import TENTHS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from switchpoint.command.documents import Run, Step
    from switchpoint.command.local.plan import WentOn
    from switchpoint.documents.lineage import Parameters

LOOKED_AT = 20  # runs: the newest
SURE = "KFP can't be asked what is in its cache: this is what the runs there have made of the same code and inputs."


class Forecast(NamedTuple):
    """What a run would do.

    Attributes:
        parameters: Of the run.
        steps: As a plan's: `cached` or `will run`, and why.
        notes: How sure that is, a sentence each.
    """

    parameters: Parameters
    steps: list[Step]
    notes: list[str]


def again(cluster: Cluster, run: Any, changes: Parameters, device: str | None) -> Forecast:
    """What `rerun RUN --host` would do.

    Raises:
        ParameterError: A parameter that can't be right.
        ClusterError: It is a run of another pipeline.
    """
    earlier = rerun.look_at(cluster, run)
    values = pipeline_parameters.checked(earlier.parameters | changes)
    found = Artifacts(cluster).digests(run, root_of(run, None)) or {}
    for kind, names in (("dataset", {"dataset"}), ("weights", {"weights", "backbone"})):
        values[f"{kind}_digest"] = "" if names & changes.keys() else found.get(f"{kind}_digest", "")
    return forecast(cluster, values, device or earlier.device)


def forecast(cluster: Cluster, values: Parameters, device: str, pipeline_root: str | None = None) -> Forecast:
    """What `submit` would do.

    Args:
        cluster: Where.
        values: All parameters; digests that are empty are taken where that can be done from here.
        device: Of the images: `gpu` or `cpu`.
        pipeline_root: Where artifacts go, of runs that do not say it.
    """
    notes = [SURE]
    known: dict[str, str] = {}
    halved: dict[str, Sequence[tuple[int, float]]] = {}
    earlier: list[Run] = []
    begun: list[tuple[Any, Parameters]] = []
    for run in cluster.runs(LOOKED_AT):
        try:
            given = pipeline_parameters.checked(_of(run))
        except (ParameterError, KeyError):
            continue  # another version's
        found = Artifacts(cluster).digests(run, root_of(run, pipeline_root)) or {}
        begun.append((run, given | {name: str(found.get(name) or given[name]) for name in DIGESTS}))
    values = values | _digests(values, [given for _, given in begun], notes)
    for run, given in begun:
        went_on = _went_on(cluster, run, pipeline_root) if given["search"] == "halving" else {}
        steps = _keyed({**given, **_guessed(given, values)}, _code(cluster.spec(run)), went_on)
        ends = {step["outputs"]["key"]: went_on.get(step["rung"] or 0) for step in steps if step["name"] == "halve"}
        halved = {key: survivors for key, survivors in ends.items() if survivors} | halved  # the newest run's
        ended = {place(step) for step in cluster.steps(run) if step["state"] in ("ran", "cached")}
        done = [step for step in steps if run.state == "SUCCEEDED" or place(step) in ended]
        known |= {step["outputs"]["key"]: run.run_id for step in done if step["outputs"]["key"] not in known}
        earlier.append({**cluster.document(run, with_steps=False), "steps": [{**s, "state": "ran"} for s in done]})
    now = {step: code_digest(step, device)[:16] for step in CACHED_STEPS}
    codes = now | {"report": now["report"] + _words(pipeline_parameters.meanings())}
    went_on = {}
    for _ in range(len(TENTHS) + 1):  # who goes on from a rung decides what the next one is made of
        planned = _keyed(values, codes, went_on)
        rungs = [step for step in planned if step["name"] == "halve" and step["outputs"]["key"] in halved]
        went_on = {step["rung"] or 0: halved[step["outputs"]["key"]] for step in rungs}
        if not went_on:
            break
    for step in planned:
        step.pop("expected", None)  # seconds of this machine
        by = known.get(step["outputs"]["key"])
        step["state"] = "cached" if by and "at_most" not in step else "will run"
        step["why"] = f"run {by} made it" if step["state"] == "cached" else step["why"] or explain(step, earlier)
    if values["search"] == "halving" and any(step["state"] == "will run" for step in planned):
        notes.append(
            "What comes after a search's first rung may be cached, too: not of every run there is known who went on."
        )
    return Forecast(values, planned, notes)


def _went_on(cluster: Cluster, run: Any, pipeline_root: str | None) -> WentOn:
    """Who went on from each rung of a run's search, as far as it wrote that itself and it can be read from here."""
    artifacts = Artifacts(cluster)
    for task in ("halve-2", "halve"):
        with suppress(ClusterError, StorageError, KeyError, TypeError):  # not there, or not what halve writes
            if found := artifacts.find(run, root_of(run, pipeline_root), task, "search"):
                return {each["rung"]: each["survivors"] for each in artifacts.read_json(found)["rungs"]}
    return {}


def _of(run: Any) -> dict[str, Any]:
    """A run's parameters over today's defaults: one that was made in the UI may leave some out."""
    defaults = {name: parameter.default for name, parameter in pipeline_parameters.parameters().items()}
    return defaults | parameters_of(run)


def _digests(values: Parameters, begun: list[Parameters], notes: list[str]) -> Parameters:
    """Those of dataset and weights: taken from here where that can be done, else the newest run's that had the same."""
    found: Parameters = {}
    for kind, name in (("dataset", "dataset_digest"), ("weights", "weights_digest")):
        if values[name]:
            continue
        address = values[kind]
        alike = [given for given in begun if given[kind] == address and given["backbone"] == values["backbone"]]
        try:
            if kind == "weights":
                from components.digest.step import of_weights

                found[name] = of_weights(values["backbone"], address)
            elif not addresses.is_volume(address):
                found[name] = sources.digest(address)
        except (StorageError, OSError) as error:
            notes.append(f"What lies at {address} could not be looked at from here ({error}).")
        if name not in found and alike and alike[0][name]:
            found[name] = alike[0][name]
            notes.append(f"{address} is taken to be as it was in the newest run that used it: its first step will see.")
    return found


def _code(spec: dict[str, Any]) -> dict[str, str]:
    """The digest of each step's code in a compiled pipeline; the report's with the words that it is given."""
    found = {name: image.rpartition("-")[2] for name, image in rerun.images(spec).items()}
    words = spec["root"]["dag"]["tasks"]["report"]["inputs"]["parameters"]["meanings"]["runtimeValue"]["constant"]
    return found | {"report": found.get("report", "") + _words(words)}


def _words(meanings: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(meanings, sort_keys=True).encode()).hexdigest()[:16]


def _guessed(given: Parameters, values: Parameters) -> Parameters:
    """Digests that a run's artifacts did not tell are taken to be those of the same addresses now."""
    return {
        name: values[name]
        for kind, name in (("dataset", "dataset_digest"), ("weights", "weights_digest"))
        if not given[name] and given[kind] == values[kind]
    }


def _keyed(values: Parameters, images: Mapping[str, str], went_on: WentOn) -> list[Step]:
    """A run's steps, with what KFP's key is of as the address of what they make.

    Args:
        values: Of the run.
        images: The digest of each step's code.
        went_on: As `plan` takes it.
    """
    with tempfile.TemporaryDirectory() as empty:
        steps = plan(values, Path(empty), went_on=went_on)
    # Who goes on in a search is not known, so what is made of those is this plan's alone.
    known = (step for step in steps if "at_most" not in step)
    made_by = {uri: (step, name) for step in known for name, uri in step["outputs"].items()}
    keys: dict[int, str] = {}

    def key(step: Step) -> str:
        if id(step) not in keys:
            made_of = [step["name"], images.get(step["name"]), step["parameters"], inputs(step)]
            keys[id(step)] = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
        return keys[id(step)]

    def inputs(step: Step) -> dict[str, list[str]]:
        return {name: [address(uri) for uri in uris] for name, uris in step["inputs"].items()}

    def address(uri: str) -> str:
        """Of what nobody knows yet who makes it, it is that of this plan, and so no other's."""
        if uri not in made_by:
            return uri
        step, name = made_by[uri]
        return f"{key(step)}/{name}"

    keyed: list[Step] = [
        {
            **step,
            "image": str(images.get(step["name"])),
            "inputs": inputs(step),
            "outputs": {"key": key(step)},
            "why": step["why"] if "at_most" in step else "",
        }
        for step in steps
    ]
    return keyed
