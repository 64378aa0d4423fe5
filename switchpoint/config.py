"""A step's parameters as one frozen object."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of every step's; its fields have the names of the parameters that the step's component takes."""

    @classmethod
    def given(cls, values: Mapping[str, Any]) -> Self:
        """Pick the fields out of what a component was called with, its `locals()`."""
        return cls(**{field.name: values[field.name] for field in dataclasses.fields(cls)})
