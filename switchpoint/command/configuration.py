"""An experiment as a YAML file: a recipe's keys, with a flag's checks.

A value is read as the text that stands there, and then as a flag's: 1e-4 is a number, off and 2026-11-27 are words,
whatever YAML 1.1 takes them for. Paths are relative to the file.
"""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from switchpoint import addresses
from switchpoint.command.parameters import ALL, DIGESTS, nearest, parameters, parse
from switchpoint.command.parameters import resolve as resolve_recipe
from switchpoint.command.paths import expanded
from switchpoint.command.recipes import DEFAULT, RECIPES
from switchpoint.errors import ParameterError
from switchpoint.files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from switchpoint.documents.lineage import Parameters

RECIPE = "recipe"
HEAD = """\
# switchpoint run {name}
# Flags win over this file, and this file over its recipe. Paths are relative to this file.
# A line without its # changes a value; what stands there is the recipe's.
"""


class Configuration(NamedTuple):
    """What a file says.

    Attributes:
        recipe: None where it names none.
        values: Parameters by name.
        places: For each of these the file and the line.
    """

    recipe: str | None
    values: Parameters
    places: dict[str, str]


def resolve(file: Path | None, recipe: str | None, given: Mapping[str, Any]) -> Parameters:
    """Every parameter's value, checked: what was given wins over the file, the file over the recipe.

    Args:
        file: From `init`, or written by hand.
        recipe: By default the file's.
        given: Values by name.

    Raises:
        ParameterError: A value that can't be right, or a file that can't be read.
    """
    read_ = read(file) if file else Configuration(None, {}, {})
    places = {name: place for name, place in read_.places.items() if name not in given}
    return resolve_recipe(recipe or read_.recipe or DEFAULT, read_.values | dict(given), places)


def read(file: Path) -> Configuration:
    """A file's recipe and parameters, each in its type.

    Raises:
        ParameterError: It can't be read, or says what no parameter can be; names all of these at once.
    """
    found, wrong = Configuration(None, {}, {}), []
    for key, node in _entries(file):
        name, place = key.value, f"{file}, line {key.start_mark.line + 1}"
        try:
            if not isinstance(key, yaml.ScalarNode):
                raise ParameterError(f"{place}: {_shown(key)} is no parameter. Write NAME: VALUE.")
            if name in found.places or (name == RECIPE and found.recipe):
                raise ParameterError(f"{place}: {name} is there twice. Leave one.")
            if name == RECIPE:
                found = found._replace(recipe=_recipe(node, place))
                continue
            found.values[name] = _value(name, node, place)
            found.places[name] = place
            if name in addresses.WORDS:
                found.values[name] = _beside(file, found.values[name], name, place)
        except ParameterError as error:
            wrong.append(str(error))
    if wrong:
        raise ParameterError("\n".join(wrong))
    return found


def _entries(file: Path) -> list[tuple[yaml.Node, yaml.Node]]:
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except FileNotFoundError:
        raise ParameterError(f"There is no file {file}. `switchpoint init {file}` writes one.") from None
    except IsADirectoryError:
        raise ParameterError(f"{file} is a folder, not a YAML file. Photos are given as --dataset {file}.") from None
    except UnicodeDecodeError as error:
        raise ParameterError(f"{file} is no text in UTF-8: {error}.") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ParameterError(f"{file}{line} is no YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise ParameterError(f"{file} is no YAML: {error}.") from None
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        raise ParameterError(f"{file} has no keys. Write a line for each parameter, such as batch_size: 32.")
    return list(root.value)


def _recipe(node: yaml.Node, place: str) -> str:
    if node.value not in RECIPES:
        raise ParameterError(f"{place}: {RECIPE} {_shown(node)}: give one of {', '.join(RECIPES)}.")
    return str(node.value)


def _value(name: str, node: yaml.Node, place: str) -> Any:
    names = [RECIPE, *(each for each in parameters() if each not in DIGESTS)]
    if name not in names:
        near = nearest(str(name), names)
        raise ParameterError(f"{place}: {name!r} is no parameter.{near} There are: {', '.join(names)}.")
    if isinstance(node, yaml.SequenceNode) and parameters()[name].kind is list:
        texts = [_text(name, item, place) for item in node.value]
        if ALL in texts:
            raise ParameterError(f"{place}: {name} {ALL!r} stands alone, or not at all. Write {name}: {ALL}.")
        return [number for text in texts for number in parse(name, text, f"{place}: {name}")]
    return parse(name, _text(name, node, place), f"{place}: {name}")


def _text(name: str, node: yaml.Node, place: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ParameterError(f"{place}: {name} {_shown(node)}: give one value.")
    if not node.value and not (node.style and parameters()[name].default == ""):  # quoted
        raise ParameterError(f"{place}: {name} has no value. Give one, or leave the line out.")
    return str(node.value)


def _shown(node: yaml.Node) -> str:
    """What stands there, in one short line."""
    text = yaml.serialize(node, Dumper=yaml.SafeDumper).strip().removesuffix("\n...")
    return textwrap.shorten(text, 60, placeholder=" …")


def _beside(file: Path, address: str, name: str, place: str) -> str:
    """An address as the file means it: a relative path begins at the file."""
    path = expanded(address, f"{place}: {name}")
    if not addresses.is_local(address, name) or addresses.unsupported(address) or path.is_absolute():
        return address
    return str(file.parent / path)


def init(file: Path, recipe: str, given: Mapping[str, Any], replace: bool = False) -> None:
    """Write a file with every parameter, what it is, and the recipe's value; what is given is in force.

    Args:
        file: Where to write.
        recipe: What it starts from.
        given: Values by name.
        replace: Also where there is a file already.

    Raises:
        ParameterError: There is a file already, or a value can't be right.
    """
    values = resolve_recipe(recipe, given)
    if file.exists() and not replace:
        raise ParameterError(f"{file} exists and is not replaced. Name another, or add --force.")
    for name in addresses.WORDS.keys() & given.keys():
        values[name] = _from(file, values[name], name)
    write_text(file, "\n".join([HEAD.format(name=file.name), f"{RECIPE}: {recipe}\n", *_lines(values, given)]))


def _lines(values: Parameters, given: Mapping[str, Any]) -> Iterator[str]:
    for name, parameter in parameters().items():
        if name not in DIGESTS:
            whole = re.sub(r", (?=[\d∞])", ",\N{NO-BREAK SPACE}", parameter.help)  # an interval stays on its line
            said = "\n".join(f"# {line}" for line in textwrap.wrap(whole, 100, break_on_hyphens=False))
            value = yaml.safe_dump(values[name], default_flow_style=True, allow_unicode=True, width=10**6)
            line = f"{name}: {value.removesuffix('...' + chr(10)).strip()}"
            yield f"{said.replace(chr(0xA0), ' ')}\n{'' if name in given else '#'}{line}\n"


def _from(file: Path, address: str, name: str) -> str:
    """The reverse of `_beside`."""
    path = expanded(address)
    if not addresses.is_local(address, name) or path.is_absolute():
        return address
    return os.path.relpath(path, file.parent)
