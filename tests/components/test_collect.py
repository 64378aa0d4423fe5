"""Collecting: what of a training's files doesn't belong together or was edited is refused."""

import itertools
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from components.collect.step import CollectConfig, collect
from switchpoint.errors import RecordsError
from switchpoint.provenance.digests import json_digest
from switchpoint.training import collected
from tests.components.studies import RATE, Study, whole_study


def test_what_is_collected_takes_no_room_a_second_time_and_is_known_by_its_digest(tmp_path: Path) -> None:
    study = whole_study(tmp_path)
    ((place, digest),) = study.collect().items()
    manifest = collected.read(place, digest)
    assert (manifest["seed"], manifest["candidates"]) == (1, [[0, 0], *([epoch, RATE] for epoch in (1, 2, 4, 8, 14))])
    for candidate in itertools.starmap(collected.Candidate, manifest["candidates"]):
        for path, own in zip(collected.files(place, candidate), study.files(candidate.switch_epoch), strict=True):
            assert path.samefile(own)
    assert study.collect("again", backwards=True) == {tmp_path / "again" / "trainings-1": digest}


@pytest.mark.parametrize("name", ["00/history.json", "04-0.0003/model.keras", "pretrained.json", "trainings.json"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_what_was_changed_since_it_was_collected_is_refused(tmp_path: Path, name: str, damage: str) -> None:
    study = whole_study(tmp_path)
    ((place, digest),) = study.collect().items()
    content = (place / name).read_bytes()
    (place / name).unlink()
    if damage == "changed":
        (place / name).write_bytes(content.replace(b'"seed": 1', b'"seed": 2') + b" ")
    if damage == "changed" and name == "trainings.json":
        message = r"trainings.json is not what collect wrote: its digest is another"
    else:
        message = (
            f"{name} is not what collect wrote" if damage == "changed" else r"is not what collect wrote \(.*No such"
        )
    with pytest.raises(RecordsError, match=rf"{message}.*Run collect again"):
        collected.read(place, digest)


@pytest.mark.parametrize("kind", ["history", "model", "evaluation"])
def test_files_of_two_trainings_are_refused(tmp_path: Path, kind: str) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6).add(2, [0.65], 0.65)
    first, second = study.inputs[1, 1, RATE], study.inputs[1, 2, RATE]
    study.inputs[1, 1, RATE] = first._replace(files=first.files._replace(**{kind: getattr(second.files, kind)}))
    step = {"history": "finetune", "model": "finetune", "evaluation": "evaluate"}[kind]
    named = [
        f"fine-tuning from epoch {1 + (kind == each)} at 0.0003, seed 1" for each in ("history", "evaluation", "model")
    ]
    message = r"the history is of {} .*, the evaluation is of {} .*, the model file is of {} .*Run {}".format(
        *named, step
    )
    with pytest.raises(RecordsError, match=message):
        study.collect()


def test_trainings_of_another_seed_are_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5, seed=2)
    (tmp_path / "pretrained").write_text("{}")
    with pytest.raises(RecordsError, match="not to seed 1: the history is of transfer learning alone, seed 2"):
        collect([study.inputs[2, 0, RATE]], tmp_path / "pretrained", tmp_path / "out", CollectConfig(1))


def test_two_trainings_of_one_start_are_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6)
    twice = [study.inputs[1, 0, RATE], study.inputs[1, 1, RATE], study.inputs[1, 1, RATE]]
    with pytest.raises(RecordsError, match=r"two trainings of fine-tuning from epoch 1 at 0\.0003"):
        collect(twice, tmp_path / "pretrained", tmp_path / "out", CollectConfig(1))


def test_an_evaluation_of_another_model_of_the_same_start_is_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6, model_digest="digest-of-another")
    with pytest.raises(
        RecordsError, match=r"history is of fine-tuning from epoch 1 at 0.0003, seed 1 \(model digest-of-anoth"
    ):
        study.collect()


def test_a_model_file_that_was_changed_since_it_was_evaluated_is_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6)
    with zipfile.ZipFile(study.files(1).model, "a") as archive:
        archive.writestr("model.weights.h5", b"other weights")
    with pytest.raises(RecordsError, match="model-1 is not the file that belongs to the evaluation"):
        study.collect()


@pytest.mark.parametrize(
    ("kind", "step", "changes", "its_own_digest_too"),
    [
        ("evaluation", "evaluate", {"top_1": 1.0}, False),
        ("evaluation", "evaluate", {"top_5": 1.0}, True),
        ("evaluation", "evaluate", {"digest": "another"}, False),
        ("history", "finetune", {"validation_accuracy": 0.99}, False),
        ("history", "finetune", {"diverged": {"epoch": 1, "step": 1, "learning_rate": 0.1}}, False),
    ],
)
def test_a_file_that_was_edited_is_refused(
    tmp_path: Path, kind: str, step: str, changes: dict[str, Any], its_own_digest_too: bool
) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5).add(1, [0.6], 0.6)
    path: Path = getattr(study.files(1), kind)
    edited = json.loads(path.read_text()) | changes
    if its_own_digest_too:
        edited["digest"] = json_digest(edited, "digest", "lineage")
    path.write_text(json.dumps(edited))
    with pytest.raises(RecordsError, match=rf"{kind}-1 is not what {step} wrote: .*Run {step} again: on this machine"):
        study.collect()


def test_a_model_that_is_not_its_artifacts_is_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5)
    history, _ = study.inputs[1, 0, RATE].digests
    study.inputs[1, 0, RATE] = study.inputs[1, 0, RATE]._replace(digests=(history, "digest-of-another"))
    with pytest.raises(RecordsError, match="model-0 is not what transfer wrote"):
        study.collect()


def test_an_evaluation_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    study = Study(tmp_path).add(0, [0.5], 0.5)
    path = study.files(0).evaluation
    edited = json.loads(path.read_text()) | {"top_1": 1.0}
    path.write_text(json.dumps(edited | {"digest": json_digest(edited, "digest", "lineage")}))
    with pytest.raises(RecordsError, match=r"top_1 is 1.0, and names \d+ of 300 photos right"):
        study.wrote(0).collect()
