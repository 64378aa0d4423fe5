"""The pipeline's parameters, read from the one list there is: the signature of `pipeline.switchpoint`.

It is read as text, so that the command's flags and the checks need not wait for KFP to be imported (0.7 s).
"""

import ast
import functools
import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from switchpoint import addresses
from switchpoint.command.recipes import RECIPES
from switchpoint.errors import DatasetError, ParameterError
from switchpoint.provenance.digests import ROOT
from switchpoint.training.backbones.table import BACKBONES, weights_digest

Values = dict[str, Any]
PIPELINE = ROOT / "pipeline.py"
# Filled in by the command from the paths beside them, so they are no flags.
DIGESTS = ("dataset_digest", "weights_digest")
_TYPES = {"str": str, "int": int, "float": float, "bool": bool, "List[int]": list}


@dataclass(frozen=True)
class Parameter:
    """One argument of the pipeline: `kind` is str, int, float, bool or list (of int)."""

    name: str
    kind: type
    default: Any
    help: str


@functools.cache
def parameters() -> dict[str, Parameter]:
    """All of them, in the signature's order."""
    tree = ast.parse(PIPELINE.read_text(encoding="utf-8"))
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "switchpoint")
    helps = _argument_helps(ast.get_docstring(function) or "")
    arguments, defaults = function.args.args, function.args.defaults
    return {
        argument.arg: Parameter(
            argument.arg, _TYPES[ast.unparse(argument.annotation)], ast.literal_eval(default), helps[argument.arg]
        )
        for argument, default in zip(arguments, defaults, strict=True)
        if argument.annotation
    }


def _argument_helps(docstring: str) -> dict[str, str]:
    section = textwrap.dedent(docstring.partition("Args:\n")[2].partition("\n\n")[0])
    helps: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if line.startswith(" "):
            helps[name] += " " + line.strip()
        else:
            name, _, text = line.partition(": ")
            helps[name] = text
    return helps


def parse(name: str, text: str) -> Any:
    """A flag's text as the parameter's value.

    Raises:
        ParameterError: The text is no value of the parameter's type.
    """
    kind = parameters()[name].kind
    flag = f"--{name.replace('_', '-')}"
    try:
        if kind is list:
            return [int(item) for item in text.split(",")]
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        wanted = {list: "epochs separated by commas, such as 1,2,4", bool: "true or false"}
        raise ParameterError(f"{flag} {text!r}: give {wanted.get(kind, f'a value of type {kind.__name__}')}.") from None


def resolve(recipe: str, given: Mapping[str, Any]) -> Values:
    """Every parameter's value: the signature's default, over it the recipe's, over it what was given; checked.

    Returns:
        All values; switch epochs sorted, each once, so that equal sweeps have equal cache keys.

    Raises:
        ParameterError: A value that can't be right; names each such value at once.
    """
    if recipe not in RECIPES:
        raise ParameterError(f"Recipe {recipe!r} is unknown. There are: {', '.join(RECIPES)}.")
    values = {name: parameter.default for name, parameter in parameters().items()}
    values |= RECIPES[recipe] | dict(given)
    return checked(values)


def checked(values: Mapping[str, Any]) -> Values:
    """The values in their types, or a ParameterError that names everything wrong with them."""
    unknown = sorted(set(values) - set(parameters()))
    if unknown:
        raise ParameterError(f"Unknown parameters: {', '.join(unknown)}. There are: {', '.join(parameters())}.")
    result: Values = {}
    for name, parameter in parameters().items():
        value = values[name]
        # A cluster gives numbers back as floats, and lists sometimes as JSON.
        if parameter.kind is list:
            items = json.loads(value) if isinstance(value, str) else value
            value = sorted({int(item) for item in items})
        elif parameter.kind in (int, float):
            if parameter.kind is int and value != int(value):
                raise ParameterError(f"{name}={value}: give a whole number.")
            value = parameter.kind(value)
        result[name] = value
    wrong = list(_faults(result))
    if wrong:
        raise ParameterError("\n".join(wrong))
    return result


def _faults(values: Values) -> Any:
    epochs, last = values["switch_epochs"], values["transfer_epochs"]
    if not epochs:
        yield "switch_epochs is empty: give at least one epoch, such as 1,2,4."
    outside = [epoch for epoch in epochs if not 1 <= epoch <= last]
    if outside:
        yield (
            f"switch_epochs has {', '.join(map(str, outside))}: fine-tuning can start after epoch 1 to {last} "
            f"(transfer_epochs={last}). Choose among these, or train transfer_epochs longer."
        )
    if values["backbone"] not in BACKBONES:
        yield f"backbone={values['backbone']!r} is unknown. There are: {', '.join(BACKBONES)}."
    if values["finetune_schedule"] not in ("constant", "cosine"):
        yield f"finetune_schedule={values['finetune_schedule']!r}: give constant or cosine."
    if values["mixed_precision"] not in ("auto", "on", "off"):
        yield f"mixed_precision={values['mixed_precision']!r}: give auto, on or off."
    for name, low, high in (
        ("transfer_epochs", 1, math.inf),
        ("finetune_epochs", 1, math.inf),
        ("image_size", 32, 1024),
        ("batch_size", 1, math.inf),
        ("seed", 0, 2**31 - 1),
        ("feature_views", 0, math.inf),
        ("finetune_blocks", 0, math.inf),
        ("first_decay_steps", 0, math.inf),
        ("t_mul", 1, math.inf),
        ("m_mul", 0, 1),
        ("rotation", 0, 0.5),
        ("label_smoothing", 0, 0.99),
        ("finetune_warmup", 0, 0.99),
        ("dropout", 0, 0.99),
        ("validation_fraction", 0.01, 0.5),
        ("max_left_out", 0, 1),
    ):
        if not low <= values[name] <= high:
            yield f"{name}={values[name]}: give a value from {low} to {high}."
    for name in ("transfer_learning_rate", "finetune_learning_rate"):
        if not 0 < values[name] < 10:
            yield f"{name}={values[name]}: give a value above 0 and below 10."


def check_addresses(values: Values) -> None:
    """Refuse a dataset or weights that are not there, before anything starts.

    Raises:
        ParameterError: Nothing of that name on this machine.
    """
    from switchpoint.data import sources

    dataset, weights = values["dataset"], values["weights"]
    try:
        sources.find(dataset)
    except DatasetError as error:
        raise ParameterError(str(error)) from error
    if addresses.is_local(weights, "weights") and not Path(weights).is_file():
        raise ParameterError(f"weights={weights!r} is no file. Give a file, gs://…, `imagenet` or `none`.")


def with_digests(values: Values, which: tuple[str, ...] = ("dataset", "weights")) -> Values:
    """Fill in the digests that prepare and transfer verify, and that make a changed dataset run again."""
    from switchpoint import storage
    from switchpoint.data import sources

    if "dataset" in which:
        values["dataset_digest"] = sources.digest(values["dataset"])
    if "weights" in which:
        weights = values["weights"]
        values["weights_digest"] = (
            storage.digest(weights) if addresses.is_remote(weights) else weights_digest(values["backbone"], weights)
        )
    return values
