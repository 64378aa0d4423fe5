"""An experiment's file says what flags say, and is refused with the line where flags are refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from switchpoint.command import configuration, parameters
from switchpoint.command.cli.main import main
from switchpoint.command.recipes import RECIPES
from switchpoint.errors import ParameterError


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(text: str) -> Path:
    Path("experiment.yaml").write_text(text)
    return Path("experiment.yaml")


def resolved(text: str, recipe: str | None = None, **given: Any) -> dict[str, Any]:
    return configuration.resolve(written(text), recipe, given)


def test_flags_win_over_the_file_and_the_file_over_its_recipe() -> None:
    values = resolved("recipe: demo\nbatch_size: 7\nimage_size: 48\n", batch_size=9)
    assert (values["batch_size"], values["image_size"], values["transfer_epochs"]) == (9, 48, 6)
    assert resolved("recipe: demo\nbatch_size: 7", "lab")["transfer_epochs"] == 14
    assert resolved("") == parameters.resolve("better", {}) == configuration.resolve(None, None, {})


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("transfer_learning_rate: 1e-4", 1e-4),  # YAML 1.1: a text
        ("transfer_learning_rate: '2e-4'", 2e-4),
        ("finetune_learning_rate: [1e-4, 3e-5]", [3e-5, 1e-4]),
        ("switch_epochs: all", list(range(1, 15))),
        ("dropout: 0", 0.0),
        ("mixed_precision: off", "off"),  # YAML 1.1: false
        ("mixed_precision: on", "on"),
        ("dataset: tfds:food101", "tfds:food101"),
        ("dataset: gs://bucket/photos", "gs://bucket/photos"),
        ("dataset: 2026-11-27", "2026-11-27"),  # YAML 1.1: a date
        ("image_size: 0100", 100),  # YAML 1.1: octal
        ("switch_epochs: [4, 1]", [1, 4]),
        ("switch_epochs:\n  - 2\n  - 1", [1, 2]),
        ("switch_epochs: 1,2", [1, 2]),
        ("switch_epochs: 3", [3]),
    ],
)
def test_a_value_is_what_a_flag_would_make_of_it(line: str, value: object) -> None:
    found = resolved(line)[line.partition(":")[0]]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nbatchsize: 3", r"experiment.yaml, line 2: 'batchsize' is no parameter. Did you mean batch_size\? There"),
        ("dataset_digest: x", r"line 1: 'dataset_digest' is no parameter. .*There are: recipe, dataset, backbone"),
        ("batch_size: 1.5", r"experiment.yaml, line 1: batch_size '1.5': give a value of type int"),
        ("batch_size: yes", r"line 1: batch_size 'yes': give a value of type int"),
        ("batch_size: [3]", r"line 1: batch_size \['3'\]: give one value"),
        ("dropout: {a: 1}", r"line 1: dropout \{a: '1'\}: give one value"),
        ("switch_epochs: [1, [2]]", r"line 1: switch_epochs \['2'\]: give one value"),
        ("switch_epochs: [all]", "line 1: switch_epochs 'all' stands alone"),
        ("switch_epochs: [one]", r"line 1: switch_epochs 'one': give whole numbers"),
        ("seeds:", "line 1: seeds has no value"),
        ("seed: 1\nseed: 2", "line 2: seed is there twice"),
        ("recipe: labb", "line 1: recipe labb: give one of better, lab, demo"),
        ("seed: 1\ndropout: 2", r"experiment.yaml, line 2: dropout=2.0: give a value in \[0, 0.99\]"),
        ("seed: 1\nrobustness: no", "experiment.yaml, line 2: robustness='no': give one of off, sample, full"),
        ("backbone: resnet_9", "experiment.yaml, line 1: backbone='resnet_9' is unknown"),
        ("dataset: ftp://x/y", "experiment.yaml, line 1: dataset: .*'ftp', which is not supported"),
        ("transfer_epochs: 3\nswitch_epochs: [4]", "experiment.yaml, line 2: switch_epochs has 4: .* 1 to 3"),
        ("seeds: [1\nseed: 2", "experiment.yaml, line 2 is no YAML: expected"),
        ("seed: 1\n\tdropout: 0", "experiment.yaml, line 2 is no YAML: found character"),
        ("- 1", "experiment.yaml has no keys"),
        ("seed: 1\n[a, b]: 1", r"experiment.yaml, line 2: \[a, b\] is no parameter. Write NAME: VALUE"),
        ("dataset: ~nobody-here/photos", "line 1: dataset '~nobody-here/photos' begins with a home dir"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        resolved(text)


def test_all_that_is_wrong_is_said_at_once_and_a_flag_is_not_the_files() -> None:
    with pytest.raises(ParameterError, match=r"(?s)line 1: 'x' is no.*line 2: seed 'y'"):
        resolved("x: 1\nseed: y")
    with pytest.raises(ParameterError, match=r"(?m)^dropout=3.0: .*\nexperiment.yaml, line 2: robustness='no'"):
        resolved("dropout: 0.1\nrobustness: no", dropout=3)


def test_a_file_that_is_none() -> None:
    with pytest.raises(ParameterError, match=r"There is no file none.yaml. `switchpoint init none.yaml` writes one"):
        configuration.read(Path("none.yaml"))
    with pytest.raises(ParameterError, match=r"photos is a folder, .*--dataset photos"):
        Path("photos").mkdir()
        configuration.read(Path("photos"))
    Path("image.yaml").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ParameterError, match=r"image.yaml is no text in UTF-8"):
        configuration.read(Path("image.yaml"))


def test_relative_paths_begin_at_the_file(place: Path) -> None:
    Path("experiments").mkdir()
    file = Path("experiments", "a.yaml")
    file.write_text("dataset: ../photos\nweights: none")
    values = configuration.resolve(file, None, {})
    assert Path(values["dataset"]).resolve() == place / "photos" and values["weights"] == "none"
    file.write_text("dataset: ~/photos")
    assert configuration.resolve(file, None, {})["dataset"] == "~/photos"
    file.write_text("dataset: sample")
    assert configuration.resolve(file, None, {"dataset": "photos"})["dataset"] == "photos"


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_init_writes_is_the_recipe_and_every_line_counts(recipe: str) -> None:
    given = {"dataset": "photos: mine # today", "weights": "none", "switch_epochs": [1]}
    file = Path("deep", "experiment.yaml")
    configuration.init(file, recipe, given)
    expected = parameters.resolve(recipe, given)
    for text in (file.read_text(), file.read_text().replace("\n#", "\n").replace("\n ", "\n# ")):
        file.write_text(text)
        values = configuration.resolve(file, None, {})
        assert Path(values.pop("dataset")).resolve() == Path("photos: mine # today").resolve()
        assert values == {name: value for name, value in expected.items() if name != "dataset"}
    assert set(yaml.safe_load(text)) == {"recipe", *parameters.parameters()} - set(parameters.DIGESTS)
    assert "# How many of the backbone's last blocks to fine-tune; 0 = all [0, ∞).\nfinetune_blocks: 0\n" in text
    assert max(map(len, text.splitlines())) <= 102


def test_the_command_writes_a_file_once_and_takes_it() -> None:
    def call(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == code, result.output
        return result.output

    assert "Run it with: switchpoint run experiment.yaml" in call("init", "--recipe", "demo", "--batch-size", "5")
    assert "experiment.yaml exists and is not replaced" in call("init", code=2)
    assert configuration.read(Path("experiment.yaml")).values == {"batch_size": 5}
    call("init", "--force", "--recipe", "demo", "--dataset", "missing")
    for command in ("run", "plan", "submit"):
        assert "missing" in call(command, "experiment.yaml", code=2)
        assert "image_size=1: give" in call(command, "experiment.yaml", "--image-size", "1", code=2)
    assert "batch_size=0: give" in call("init", "new.yaml", "--batch-size", "0", code=2)
    assert not Path("new.yaml").exists()
