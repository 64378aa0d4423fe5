"""A step's parameters as one frozen object."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

_NUMBERS = {"int": int, "float": float}


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of every step's; its fields have the names of the parameters that the step's component takes."""

    @classmethod
    def given(cls, values: Mapping[str, Any]) -> Self:
        """Pick the fields out of what a component was called with, its `locals()`; numbers become of their type.

        A cluster sends parameters as JSON, which has one type of number: 0.0 comes as 0, and what is written of it,
        into a model's lineage or the key of a saved state, would be other bytes than on a laptop.
        """
        return cls(**{field.name: _typed(field, values[field.name]) for field in dataclasses.fields(cls)})


def _typed(field: dataclasses.Field[Any], value: Any) -> Any:
    kind = _NUMBERS.get(getattr(field.type, "__name__", str(field.type)))
    return kind(value) if kind else value
