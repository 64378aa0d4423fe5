"""The pipeline's parameters, read from the one list there is: the signature of `pipeline.switchpoint`.

It is read as text, so that the command's flags and the checks need not wait for KFP to be imported (0.7 s).
"""

from __future__ import annotations

import ast
import difflib
import functools
import json
import math
import os
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from switchpoint import addresses
from switchpoint.command.paths import expanded
from switchpoint.command.recipes import RECIPES
from switchpoint.config import Config
from switchpoint.errors import DatasetError, ParameterError
from switchpoint.provenance.digests import ROOT
from switchpoint.training.backbones.table import BACKBONES, named

if TYPE_CHECKING:
    from switchpoint.documents.lineage import Parameters

C = TypeVar("C", bound=Config)
PIPELINE = ROOT / "pipeline.py"
# Filled in by the command from the paths beside them, so they are no flags.
DIGESTS = ("dataset_digest", "weights_digest")
_TYPES = {"str": str, "int": int, "float": float, "bool": bool, "List[int]": list, "List[float]": list}
ALL = "all"  # switch_epochs: every epoch of transfer learning


@dataclass(frozen=True)
class Parameter:
    """One argument of the pipeline.

    Attributes:
        name: As in the signature.
        kind: str, int, float, bool or list.
        default: Where neither a recipe nor a flag says otherwise.
        help: What the docstring says of it.
        interval: The values that a number may have, such as [0, 1).
        choices: The words that a text may be; empty: any.
    """

    name: str
    kind: type
    default: Any
    help: str
    interval: Interval | None = None
    choices: tuple[str, ...] = ()

    @property
    def item(self) -> type:
        """Of a list's entries: int or float."""
        return type(self.default[0])


class Interval(NamedTuple):
    """In the mathematicians' notation: a square bracket's end is a value that is allowed, a round one's is not."""

    text: str
    low: float
    high: float

    @classmethod
    def at_end_of(cls, text: str) -> Interval | None:
        """The interval that a docstring's entry ends with."""
        found = re.search(r"[\[(]([-\d.]+), ([-\d.]+|∞)[\])](?=\.$)", text)
        return cls(found[0], float(found[1]), math.inf if found[2] == "∞" else float(found[2])) if found else None

    def __contains__(self, value: object) -> bool:
        """Whether a number lies in it."""
        if not isinstance(value, int | float):
            return False
        low = self.low <= value if self.text.startswith("[") else self.low < value
        high = value <= self.high if self.text.endswith("]") else value < self.high
        return low and high


@functools.cache
def parameters() -> dict[str, Parameter]:
    """All of them, in the signature's order."""
    tree = ast.parse(PIPELINE.read_text(encoding="utf-8"))
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "switchpoint")
    helps = _argument_helps(ast.get_docstring(function) or "")
    arguments, defaults = function.args.args, function.args.defaults
    found = {}
    for argument, default in zip(arguments, defaults, strict=True):
        name, text, kind = argument.arg, helps[argument.arg], _TYPES[ast.unparse(argument.annotation or argument)]
        words = re.search(r"\{([\w, ]+)\}\.$", text)
        choices = tuple(words[1].split(", ")) if words else ()
        found[name] = Parameter(name, kind, ast.literal_eval(default), text, Interval.at_end_of(text), choices)
        if kind in (int, float) and found[name].interval is None:
            raise ValueError(f"pipeline.py: the docstring's entry of {name} must end with an interval such as [0, 1].")
    return found


def meanings() -> dict[str, str]:
    """What each parameter is, for the report: plain words, without the marks of code."""
    return {name: parameter.help.replace("`", "") for name, parameter in parameters().items()}


def config(kind: type[C], step: str, values: Mapping[str, Any]) -> C:
    """A step's Config from the pipeline's parameters: `epochs` of transfer is `transfer_epochs`.

    Args:
        kind: Its class.
        step: Its step.
        values: Of all parameters that it needs.
    """
    own = {name.removeprefix(f"{step}_"): value for name, value in values.items() if name.startswith(f"{step}_")}
    return kind.given({**values, **own})


def candidate(values: Mapping[str, Any], switch_epoch: int) -> Parameters:
    """The parameters of one fine-tuning, for `config`: from an epoch, at the only learning rate, to its end."""
    (rate,) = values["finetune_learning_rate"]
    return {**values, "switch_epoch": switch_epoch, "finetune_learning_rate": rate, "learning_rate": rate, "rung": 0}


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


def parse(name: str, text: str, place: str) -> Any:
    """A text as the parameter's value.

    Args:
        name: Of the parameter.
        text: What a flag or a file gives.
        place: What to call it in an error: the flag, or the file's line.

    Raises:
        ParameterError: The text is no value of the parameter's type.
    """
    try:
        return ALL if name == "switch_epochs" and text == ALL else _read(parameters()[name], text)
    except (ValueError, KeyError):
        raise ParameterError(f"{place} {text!r}: give {_wanted(parameters()[name])}.") from None


def _read(parameter: Parameter, text: str) -> Any:
    if parameter.kind is list:
        return [parameter.item(item) for item in text.split(",")]
    if parameter.kind is bool:
        return {"true": True, "false": False}[text.lower()]
    return parameter.kind(text)


def _wanted(parameter: Parameter) -> str:
    """What a value may be, for an error."""
    if parameter.kind is list and parameter.item is float:
        return "numbers separated by commas, such as 1e-4,3e-4"
    wanted = {list: "whole numbers separated by commas, such as 1,2,4", bool: "true or false"}
    return wanted.get(parameter.kind, f"a value of type {parameter.kind.__name__}")


def resolve(recipe: str, given: Mapping[str, Any], places: Mapping[str, str] = MappingProxyType({})) -> Parameters:
    """Every parameter's value: the signature's default, over it the recipe's, over it what was given; checked.

    Args:
        recipe: One of `RECIPES`.
        given: Values by name.
        places: Where a value was written, for errors.

    Returns:
        All values; lists sorted, each number once, so that equal sweeps have equal cache keys.

    Raises:
        ParameterError: A value that can't be right; names each such value at once.
    """
    if recipe not in RECIPES:
        raise ParameterError(f"Recipe {recipe!r} is unknown. There are: {', '.join(RECIPES)}.")
    values = {name: parameter.default for name, parameter in parameters().items()}
    values |= RECIPES[recipe] | dict(given)
    return checked(values, places)


def nearest(name: str, names: Sequence[str]) -> str:
    """For an error: which of the names may have been meant, if any is like it."""
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f" Did you mean {found[0]}?" if found else ""


def checked(values: Mapping[str, Any], places: Mapping[str, str] = MappingProxyType({})) -> Parameters:
    """The values in their types, or a ParameterError that names everything wrong with them.

    What is missing, in a run of a version that did not have it, is as the signature has it.
    """
    values = {name: parameter.default for name, parameter in parameters().items()} | dict(values)
    unknown = sorted(set(values) - set(parameters()))
    if unknown:
        near = "".join(nearest(name, list(parameters())) for name in unknown)
        raise ParameterError(f"Unknown parameters: {', '.join(unknown)}.{near} There are: {', '.join(parameters())}.")
    if isinstance(values["switch_epochs"], str) and values["switch_epochs"] == ALL:
        last = _typed(parameters()["transfer_epochs"], values["transfer_epochs"])
        values = {**values, "switch_epochs": range(1, last + 1)}
    result: Parameters = {name: _typed(parameter, values[name]) for name, parameter in parameters().items()}
    wrong = [f"{places[name]}: {fault}" if name in places else fault for name, fault in _faults(result)]
    if wrong:
        raise ParameterError("\n".join(wrong))
    return result


def _typed(parameter: Parameter, value: Any) -> Any:
    # A cluster gives numbers back as floats, and lists sometimes as JSON; a program may give other types than a flag.
    try:
        if parameter.kind is str:
            return os.fspath(value)
        if isinstance(value, str):
            value = json.loads(value) if value.startswith("[") else _read(parameter, value)
        if parameter.kind is list:
            items = [value] if isinstance(value, Real) else value
            return sorted({_number(parameter, parameter.item, item) for item in items})
        return _number(parameter, parameter.kind, value)
    except (TypeError, ValueError, KeyError, OverflowError):
        raise ParameterError(f"{parameter.name}={value!r}: give {_wanted(parameter)}.") from None


def _number(parameter: Parameter, kind: type, value: Any) -> Any:
    if kind is int and not isinstance(value, str) and value != int(value):
        raise ParameterError(f"{parameter.name}={value}: give a whole number.")
    return kind(value)


def _faults(values: Parameters) -> Iterator[tuple[str, str]]:
    epochs, last = values["switch_epochs"], values["transfer_epochs"]
    if not epochs:
        yield "switch_epochs", "switch_epochs is empty: give at least one epoch, such as 1,2,4."
    if not values["finetune_learning_rate"]:
        yield "finetune_learning_rate", "finetune_learning_rate is empty: give at least one, such as 1e-4,3e-4."
    if not values["seeds"]:
        yield "seeds", "seeds is empty: give at least one, such as 1,2,3."
    outside = [epoch for epoch in epochs if not 1 <= epoch <= last]
    if outside:
        yield (
            "switch_epochs",
            f"switch_epochs has {', '.join(map(str, outside))}: fine-tuning can start after epoch 1 to {last} "
            f"(transfer_epochs={last}). Choose among these, or train transfer_epochs longer.",
        )
    if values["backbone"] not in BACKBONES:
        yield "backbone", f"backbone={values['backbone']!r} is unknown. There are: {', '.join(BACKBONES)}."
    else:
        row = named(values["backbone"])
        interval = parameters()["image_size"].interval
        if interval and values["image_size"] in interval and values["image_size"] < row.smallest:
            yield "image_size", f"image_size={values['image_size']}: {row.name} takes {row.smallest} or more."
        if values["weights"] == "imagenet" and row.no_imagenet:
            yield "weights", row.no_imagenet
    for name in addresses.WORDS:
        if name == "dataset" and addresses.is_volume(values[name]):
            continue
        if why := addresses.unsupported(values[name]):
            yield name, f"{name}: {why}"
    if values["promote"] and (why := unusable(values["promote"])):
        yield "promote", f"promote={values['promote']!r}: {why}"
    for name, parameter in parameters().items():
        value = values[name]
        for each in value if parameter.kind is list else [value]:
            if parameter.interval and each not in parameter.interval:
                yield name, f"{name}={each}: give a value in {parameter.interval.text}."
        if parameter.choices and value not in parameter.choices:
            yield name, f"{name}={value!r}: give one of {', '.join(parameter.choices)}."


def unusable(name: str) -> str:
    """Why MLflow, or a search in it, would not take the name of a model; empty: it does."""
    if set(name) & set("/:'\"") or not name.isprintable() or name != name.strip() or name.startswith("."):
        return "a model's name has no / : ' or \", no space at either end and no point at its start."
    return "a model's name has 256 characters at most." if len(name) > 256 else ""


def check_addresses(values: Parameters) -> None:
    """Refuse a dataset, weights or photos that are not there, before anything starts.

    Raises:
        ParameterError: Nothing of that name on this machine.
    """
    from switchpoint.data import sources

    dataset, weights = values["dataset"], values["weights"]
    if addresses.is_local(dataset, "dataset"):
        expanded(dataset, "dataset")
    try:
        sources.find(dataset)
    except DatasetError as error:
        raise ParameterError(str(error)) from error
    known = weights in addresses.WORDS["weights"] or addresses.is_remote(weights)
    if not known and not expanded(weights, "weights").is_file():
        raise ParameterError(f"weights={weights!r} is no file. Give a file, gs://… or s3://…, `imagenet` or `none`.")
    photos = values["drift"]
    if photos and not addresses.is_remote(photos) and not expanded(photos, "drift").is_dir():
        raise ParameterError(f"drift={photos!r} is no folder. Give a folder of photos, gs://…, s3://…, or '' for none.")


def with_digests(values: Parameters) -> Parameters:
    """Fill in the digests that prepare and transfer verify, and that make a changed dataset run again."""
    from components.digest.step import look, of_weights
    from switchpoint.data import sources

    look(values["drift"])  # the digest of many photos takes a while
    values["dataset_digest"] = sources.digest(values["dataset"])
    values["weights_digest"] = of_weights(values["backbone"], values["weights"])
    return values


def located(values: Parameters) -> Parameters:
    """Check that dataset, weights and new photos are there, make their paths absolute and take their digests."""
    check_addresses(values)
    for name in addresses.WORDS:
        if addresses.is_local(values[name], name):
            values[name] = str(expanded(values[name]).resolve())
    return with_digests(values)
