"""What a step says while it runs: one module writes the lines and reads them back.

    finetune 4: epoch 3/10, loss 0.532, accuracy 0.841, val_loss 0.611, val_accuracy 0.800, 12 s left
    finetune 4: goes on after epoch 2: an earlier step trained that

The line begins with the step, and its switch epoch when it has one. The first form says how far it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PREFIX = re.compile(r"(prepare|transfer|finetune|evaluate|collect|report)( \d+)?: (.+)")
_DONE = re.compile(r"([a-z]+) (\d+)/(\d+)")
_MEASURED = re.compile(r"(\w+) (-?\d+\.\d{3})")
_LEFT = re.compile(r"(\d+) s left")


@dataclass(frozen=True)
class Progress:
    """How far a step is.

    Attributes:
        unit: What is counted: epoch, view, photos.
        done: How many are done.
        total: Of how many.
        seconds_left: An estimate.
        measured: What was measured in the last one, by name; told to three decimals.
    """

    unit: str
    done: int
    total: int
    seconds_left: int
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What a person reads of it."""
        measured = [f"{name} {value:.3f}" for name, value in self.measured.items()]
        return ", ".join([f"{self.unit} {self.done}/{self.total}", *measured, f"{self.seconds_left} s left"])


def say(step: str, said: Progress | str) -> None:
    """Print a line: `step` is a step's name, with its switch epoch when it has one."""
    text = said.text if isinstance(said, Progress) else said
    print(f"{step}: {text.encode('utf-8', 'backslashreplace').decode()}", flush=True)  # a photo's name may be no UTF-8


def read(line: str) -> Progress | str | None:
    """What `say` was given, or None: the line is somebody else's."""
    prefixed = _PREFIX.fullmatch(line.rstrip())
    if not prefixed:
        return None
    text = prefixed[3]
    done, *fields = text.split(", ")
    counted, left = _DONE.fullmatch(done), _LEFT.fullmatch(fields[-1]) if fields else None
    measured = [_MEASURED.fullmatch(each) for each in fields[:-1]]
    if not counted or not left or not all(measured):
        return text
    values = {found[1]: float(found[2]) for found in measured if found}
    return Progress(counted[1], int(counted[2]), int(counted[3]), int(left[1]), values)
