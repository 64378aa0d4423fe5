"""Nothing is sent that Kubeflow Pipelines would refuse after it has made the run's workflow: no orphans."""

import json
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from components.collect.step import CollectConfig
from components.evaluate.step import EvaluateConfig
from components.finetune.step import FinetuneConfig
from components.halve.step import HalveConfig
from components.prepare.step import PrepareConfig
from components.transfer.step import TransferConfig
from switchpoint.command import parameters
from switchpoint.command.cluster import limits
from switchpoint.command.profiles import DIRECTORY
from switchpoint.errors import ParameterError
from switchpoint.provenance.metadata import describe
from tests.kfp_server import Server
from tests.switchpoint.command.cluster.cases import Submit, call

LONG = "dishes-" * 40  # 280 characters, which is a folder's name in a bucket


def test_a_rerun_leaves_no_orphan_and_says_first_what_it_repeats(server: Server, submit: Submit) -> None:
    submit("--switch-epochs", "1,2,3,4,5,6", "--profile", "gke-a100-spot", "--registry", "registry.example")
    first = server.runs[0].run_id
    result = call("rerun", first, "--host", server.host)
    assert result.exit_code == 0, result.output
    assert server.workflows == [run.run_id for run in server.runs]
    assert server.runs[1].description.startswith(f"Run {first} again. ")


def test_a_long_address_is_cut_last(server: Server, submit: Submit, gcs: Any) -> None:
    gcs.put(f"{LONG}/cats/1.jpg", b"a cat")
    result = submit("--dataset", gcs.uri(LONG))
    assert result.exit_code == 0, result.output
    (run,) = server.runs
    assert server.workflows == [run.run_id]
    assert run.display_name.endswith("… efficientnet_lite0 1,2,4") and run.display_name.startswith("dishes-dishes-")
    assert "from each of 1, 2, 4" in run.description and "Profile cpu" in run.description
    assert run.description.endswith("…")
    assert run.runtime_config.parameters["dataset"] == gcs.uri(LONG)  # whole: it is not for people


def test_a_profile_may_be_called_what_it_likes(server: Server, submit: Submit, tmp_path: Path) -> None:
    profile = tmp_path / f"Größe 🍕 {'x' * 200}.yaml"
    profile.write_text((DIRECTORY / "cpu.yaml").read_text())
    result = submit("--profile", str(profile))
    assert result.exit_code == 0, result.output
    assert server.workflows == [server.runs[0].run_id]
    assert server.versions[0].name.startswith("gr-e-xxx") and len(server.versions[0].name) == 127
    assert server.versions[0].tags["profile"].startswith("Größe � xxx")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--experiment", "ü" * 65), "--experiment has 130 bytes; Kubeflow Pipelines takes 128"),
        (("--experiment", "food 🍕"), "--experiment has the character '🍕'"),
        (("--service-account", "a" * 254), "--service-account has 254 bytes; Kubeflow Pipelines takes 253"),
        (("--dataset", "gs://photos/🍕"), "dataset has the character '🍕'"),
    ],
)
def test_what_a_cut_would_make_another_thing_is_refused(
    server: Server, submit: Submit, arguments: tuple[str, str], said: str
) -> None:
    result = submit(*arguments)
    assert result.exit_code == 2 and said in result.output, result.output
    assert not server.requests


def test_a_run_that_could_not_be_stored_is_looked_for_among_workflows(server: Server, submit: Submit) -> None:
    server.fault("POST", "runs$", 500)
    assert "kubectl -n kubeflow get workflows" in submit().output


def test_texts_are_cut_in_characters_and_in_bytes() -> None:
    assert limits.text("a" * 255) == "a" * 255
    assert limits.text("ü" * 256) == "ü" * 254 + "…"
    assert limits.text("a🍕\udc80b") == "a��b"
    with pytest.raises(ParameterError):
        limits.check("--experiment", "é" * 65, limits.EXPERIMENT)


@pytest.mark.parametrize("many", ["switch_epochs", "seeds"])
def test_how_many_fit_depends_on_the_pipeline_root(server: Server, submit: Submit, many: str) -> None:
    flags = {"switch_epochs": ("--switch-epochs", "--transfer-epochs=50"), "seeds": ("--seeds",)}[many]
    numbers = ",".join(map(str, range(1, 61 if many == "seeds" else 31)))
    long = "gs://bucket/" + "folder/" * 60
    result = submit(*flags[1:], flags[0], numbers, "--pipeline-root", long)
    assert (
        result.exit_code == 2
        and f"{many}{' × finetune_learning_rate' * (many == 'switch_epochs')} has " in result.output
    ), result.output
    assert "a shorter --pipeline-root" in result.output
    assert not server.requests


VALUES = parameters.resolve("better", {"transfer_epochs": 99}) | {
    "dataset": "gs://bucket/" + "d" * 500, "weights": "gs://bucket/" + "w" * 500, "seed": 2**31 - 1, "epochs": 99,
}  # fmt: skip
TRAINED = ("history", "model", "evaluation")


def artifact(root: str, output: str, step: str, config: Any, inputs: Iterable[str]) -> dict[str, Any]:
    """An artifact as v2/driver/container.go writes it, with the metadata that its step writes."""
    values = parameters.config(config, step, parameters.candidate(VALUES, 99))
    said = describe(
        "Model, fine-tuned from epoch 99 at 0.0003, seed 2147483647",
        step,
        values,
        dict.fromkeys(inputs, "d" * 64),
        "d" * 64,
    )
    kind = {"instanceSchema": "title: system.Artifact"}
    place = f"{root}/switchpoint/{uuid.uuid4()}/a-task-name/{uuid.uuid4()}"
    return {"name": str(uuid.uuid4()), "type": kind, "uri": f"{place}/{output}", "metadata": said}


def size(parameters: dict[str, Any], inputs: dict[str, list[Any]], outputs: list[Any]) -> int:
    """Bytes of the argument of a step."""
    given = {name: {"artifacts": found} for name, found in inputs.items()}
    made = {f"output {number}": {"artifacts": [found]} for number, found in enumerate(outputs)}
    document = {"inputs": {"parameterValues": parameters, "artifacts": given}, "outputs": {"artifacts": made}}
    return len(json.dumps(document).encode())


def collected(epochs: int, root: str) -> int:
    """Bytes of collect's argument."""

    def trained(step: str, config: Any) -> dict[str, Any]:
        told = dict.fromkeys(TRAINED, (step, config)) | {"evaluation": ("evaluate", EvaluateConfig)}
        return {name: artifact(root, name, *made, ("records", "checkpoints")) for name, made in told.items()}

    rounds = [trained("finetune", FinetuneConfig) for _ in range(epochs)]
    inputs = {f"finetune_{name}s": [each[name] for each in rounds] for name in TRAINED}
    inputs |= {f"transfer_{name}": [found] for name, found in trained("transfer", TransferConfig).items()}
    inputs["pretrained"] = [artifact(root, "pretrained", "transfer", TransferConfig, ())]
    return size({"seed": 2**31 - 1}, inputs, [artifact(root, "trainings", "collect", CollectConfig, ())])


def halved(candidates: int, root: str) -> int:
    """Bytes of halve's argument."""
    histories = [
        artifact(root, "history", "finetune", FinetuneConfig, ("records", "checkpoints")) for _ in range(candidates)
    ]
    of = [f"history.{number}" for number in range(candidates)]
    before = artifact(root, "search", "halve", HalveConfig, of)
    made = [artifact(root, "search", "halve", HalveConfig, ())]
    return size({"rung": 2, "epochs": 99, "seed": 2**31 - 1}, {"histories": histories, "before": [before]}, made)


def reported(seeds: int, epochs: int, root: str, searched: int = 0) -> int:
    """Bytes of report's argument."""
    of = [f"{name}.{number}" for number in range(epochs + 1) for name in TRAINED]
    inputs = {
        "trainings": [artifact(root, "trainings", "collect", CollectConfig, ["pretrained", *of]) for _ in range(seeds)],
        "source": [artifact(root, "source", "prepare", PrepareConfig, ["dataset"])],
    }
    if searched:
        of = [f"history.{number}" for number in range(searched)]
        inputs["search"] = [artifact(root, "search", "halve", HalveConfig, of)]
    outputs = [artifact(root, name, "report", EvaluateConfig, ()) for name in ("page", "results", "model")]
    return size({"meanings": parameters.meanings()}, inputs, outputs)


@pytest.mark.parametrize("root", [limits.ROOT, "gs://bucket/" + "folder/" * 60])
@pytest.mark.parametrize(
    ("found", "counted"),
    [
        pytest.param(collected, limits.collected, id="collect"),
        pytest.param(halved, limits.halved, id="halve"),
        pytest.param(
            partial(reported, epochs=7, searched=28), partial(limits.reported, epochs=7, searched=28), id="a search"
        ),
        *(
            pytest.param(partial(found, epochs=epochs), partial(counted, epochs=epochs), id=f"report, {epochs} epochs")
            for epochs in (1, 30)
            for found, counted in [(reported, limits.reported)]
        ),
    ],
)
def test_what_is_let_through_fits_into_an_argument(
    root: str, found: Callable[..., int], counted: Callable[..., int]
) -> None:
    none, one = found(0, root=root), found(1, root=root)
    fixed, each = counted(0, root=root), counted(1, root=root) - counted(0, root=root)
    assert one - none <= each <= 1.2 * (one - none)
    assert none <= fixed <= 1.2 * none
