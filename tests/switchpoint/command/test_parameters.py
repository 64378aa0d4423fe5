import json
import math
import subprocess
import sys

import numpy as np
import pytest

from switchpoint.command import parameters
from switchpoint.command.recipes import RECIPES
from switchpoint.errors import ParameterError


def test_every_parameter_of_the_signature_has_a_help_a_type_and_a_default() -> None:
    found = parameters.parameters()
    assert list(found)[:2] == ["dataset", "dataset_digest"]
    assert found["switch_epochs"].kind is list
    assert (found["seeds"].item, found["finetune_learning_rate"].item) == (int, float)
    assert all(parameter.help.endswith((".", "…")) for parameter in found.values())


def test_what_is_read_as_text_is_what_kfp_compiled() -> None:
    from google.protobuf import json_format

    from pipeline import switchpoint

    compiled = switchpoint.pipeline_spec.root.input_definitions.parameters
    assert set(compiled) == set(parameters.parameters())
    for name, parameter in parameters.parameters().items():
        assert json_format.MessageToDict(compiled[name])["defaultValue"] == parameter.default
        assert compiled[name].description.split() == parameter.help.split()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_changes_only_parameters_that_there_are(recipe: str) -> None:
    values = parameters.resolve(recipe, {})
    assert set(values) == set(parameters.parameters())


def test_the_lab_is_the_lab_to_the_letter() -> None:
    values = parameters.resolve("lab", {})
    assert values["switch_epochs"] == [1, 2, 4, 8, 14]
    assert (values["transfer_epochs"], values["batch_size"], values["image_size"]) == (14, 32, 224)
    assert (values["transfer_learning_rate"], values["first_decay_steps"]) == (0.001, 5000)
    assert (values["t_mul"], values["m_mul"], values["rotation"]) == (2.0, 0.75, 0.04)
    assert (values["finetune_learning_rate"], values["finetune_schedule"]) == ([1e-6], "constant")


@pytest.mark.parametrize("name", ["switch_epochs", "seeds"])
def test_lists_are_sorted_and_each_number_is_there_once(name: str) -> None:
    assert parameters.resolve("demo", {name: [4, 1, 4]})[name] == [1, 4]


def test_all_is_every_epoch_of_transfer_learning() -> None:
    values = {"switch_epochs": parameters.parse("switch_epochs", "all", "--switch-epochs"), "transfer_epochs": 3}
    assert parameters.resolve("demo", values)["switch_epochs"] == [1, 2, 3]


def test_numbers_and_lists_as_a_cluster_gives_them_back_are_taken() -> None:
    values = parameters.resolve("demo", {}) | {"switch_epochs": "[1.0, 2.0]", "seeds": "[3.0, 1.0]", "batch_size": 16.0}
    checked = parameters.checked(values)
    assert (checked["switch_epochs"], checked["seeds"]) == ([1, 2], [1, 3])
    assert type(checked["batch_size"]) is int


@pytest.mark.parametrize(("name", "given", "value"), [
    ("switch_epochs", "1,2,4", [1, 2, 4]),
    ("switch_epochs", "all", [1, 2, 3, 4, 5, 6]),
    ("switch_epochs", np.array([2, 1]), [1, 2]),
    ("seeds", np.int64(3), [3]),
    ("finetune_learning_rate", "1e-4,3e-4", [1e-4, 3e-4]),
    ("batch_size", "16", 16),
])  # fmt: skip
def test_a_program_may_give_a_flags_text_or_an_array(name: str, given: object, value: object) -> None:
    found = parameters.resolve("demo", {name: given})[name]
    assert found == value and json.dumps(found), "no type of NumPy's is left"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"switch_epochs": [0, 2]}, r"switch_epochs has 0: .* epoch 1 to 6"),
        ({"switch_epochs": [2, 7]}, r"switch_epochs has 7: .*transfer_epochs=6"),
        ({"switch_epochs": []}, "switch_epochs is empty"),
        ({"seeds": []}, "seeds is empty"),
        ({"seeds": [1, -1]}, r"seeds=-1: give a value in \[0, 2147483647\]"),
        ({"backbone": "resnet_9"}, "backbone='resnet_9' is unknown. There are: .*efficientnet_b0"),
        ({"backbone": "xception", "image_size": 70}, "image_size=70: xception takes 71 or more"),
        ({"backbone": "mobilenet"}, "weights='imagenet': Keras publishes the weights of mobilenet without a hash"),
        ({"batch_size": 0}, "batch_size=0: give a value in \\[1, ∞\\)"),
        ({"batch_size": 1.5}, "batch_size=1.5: give a whole number"),
        ({"switch_epochs": [1.9, 2.7]}, "switch_epochs=1.9: give a whole number"),
        ({"switch_epochs": "1.9"}, "switch_epochs='1.9': give whole numbers separated by commas, such as 1,2,4"),
        ({"seeds": [1, math.inf]}, r"seeds=\[1, inf\]: give whole numbers"),
        ({"seed": math.inf}, "seed=inf: give a value of type int"),
        ({"finetune_schedule": "linear"}, "finetune_schedule='linear': give one of constant, cosine"),
        ({"mixed_precision": "yes"}, "mixed_precision='yes': give one of auto, on, off"),
        ({"finetune_learning_rate": 0.0}, "finetune_learning_rate=0.0: give a value in \\(0, 10\\)"),
        ({"promote": "team/food"}, "promote='team/food': a model's name has no / :"),
        ({"promote": "l'ami"}, "a model's name has no / : ' or"),
        ({"promote": "..x"}, "no point at its start"),
        ({"promote": "x" * 257}, "256 characters at most"),
        ({"no_such": 1}, "Unknown parameters: no_such"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(given: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        parameters.resolve("demo", given)


def test_a_photo_that_no_backbone_takes_is_told_once() -> None:
    with pytest.raises(ParameterError) as error:
        parameters.resolve("better", {"image_size": 16, "backbone": "efficientnet_b0"})
    assert str(error.value).count("image_size=16") == 1


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ParameterError, match=r"(?s)switch_epochs has 9.*batch_size=0"):
        parameters.resolve("demo", {"switch_epochs": [9], "batch_size": 0})


@pytest.mark.parametrize("photos", ["no/such", "tfds:food101", "pyproject.toml"])
def test_new_photos_that_are_not_there_are_refused(photos: str) -> None:
    with pytest.raises(ParameterError, match=f"drift='{photos}' is no folder. Give .*, or '' for none"):
        parameters.check_addresses(parameters.resolve("demo", {"drift": photos}))


def test_a_dataset_that_is_not_there_is_refused() -> None:
    with pytest.raises(ParameterError, match="Dataset 'no/such' does not exist"):
        parameters.check_addresses(parameters.resolve("demo", {"dataset": "no/such"}))


def test_help_and_compiling_do_not_import_tensorflow(tmp_path: object) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from switchpoint.command.cli.main import main;"
        "assert CliRunner().invoke(main, ['run', '--help']).exit_code == 0; assert 'kfp' not in sys.modules;"
        f"assert CliRunner().invoke(main, ['compile', '--output', r'{tmp_path}/p.yaml']).exit_code == 0;"
        "heavy = {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_of_a_version_without_a_parameter_has_its_default() -> None:
    values = parameters.resolve("demo", {"seed": 7})
    del values["promote"], values["robustness"]
    assert parameters.checked(values) == values | {"promote": "", "robustness": "sample"}
