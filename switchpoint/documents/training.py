"""What transfer, finetune and collect write: the package says how to read them."""

from typing import Literal, TypedDict


class Candidate(TypedDict):
    """A fine-tuning that is tried: where it starts, and its highest learning rate."""

    switch_epoch: int
    learning_rate: float


class Row(TypedDict):
    """An epoch; `learning_rate` is that of its last step."""

    epoch: int
    loss: float
    categorical_accuracy: float
    val_loss: float
    val_categorical_accuracy: float
    learning_rate: float


class Divergence(TypedDict):
    """Where the loss stopped being a number."""

    epoch: int
    step: int
    learning_rate: float


class History(TypedDict):
    """transfer/history, finetune/history: a training. `best_epoch` 0 is that no epoch ended.

    `switch_epoch` and `learning_rate`, fine-tuning's highest, are 0 for transfer.
    """

    phase: Literal["transfer", "finetune"]
    switch_epoch: int
    learning_rate: float
    seed: int
    epochs: list[Row]
    seconds: list[float]
    best_epoch: int
    validation_accuracy: float
    validation_loss: float | None
    diverged: Divergence | None
    model_digest: str


class Rung(TypedDict):
    """A rung of a search: its trainings until that epoch, and who went on: pairs of switch epoch and learning rate."""

    rung: int
    until: int
    histories: list[History]
    survivors: list[tuple[int, float]]


class Search(TypedDict):
    """halve/search: the rungs so far; `epochs` is how long a fine-tuning is that goes to its end."""

    epochs: int
    rungs: list[Rung]


class Pretrained(TypedDict):
    """transfer/pretrained: where the pretrained weights came from."""

    backbone: str
    weights: str
    digest: str


class Checkpoints(TypedDict):
    """transfer/checkpoints/checkpoints.json; `backbone` and `heads` (by epoch) are digests of variables.

    `block_pattern` finds a layer's block by its name: see `switchpoint.training.backbones.table`.
    """

    backbone: str
    heads: dict[str, str]
    block_pattern: str
    classes: list[str]
    dropout: float
    history: list[Row]


class Trainings(TypedDict):
    """collect/trainings/trainings.json: the trainings of one seed; `files` has a digest of each, by its name inside.

    `candidates` are pairs of switch epoch and learning rate, ascending; transfer learning alone is 0 and 0.
    """

    seed: int
    candidates: list[tuple[int, float]]
    files: dict[str, str]
