"""After how many epochs of transfer learning should fine-tuning start?

The command's verbs, for programs and notebooks: `switchpoint.run`, `plan`, `runs`, `show`, which are those of
`switchpoint.command.api`.
This file is in every image, where the command is not: so it names the verbs and does not import what has them
(docs/adr/0019).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switchpoint.command.api import Run, plan, run, runs, show

    __all__ = ["Run", "plan", "run", "runs", "show"]
else:
    __all__ = ["Run", "plan", "run", "runs", "show"]

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return getattr(importlib.import_module("switchpoint.command.api"), name)

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
