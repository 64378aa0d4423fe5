"""What competes, and what all of it shares, as the pipeline's parameters."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from switchpoint.command.parameters import resolve
from switchpoint.documents.lineage import Parameters
from switchpoint.training.backbones.table import LITE0

OF_BOTH = ("augmentation", "class_weights")  # the pipeline has one parameter for transfer learning and fine-tuning


@dataclass(frozen=True)
class Candidate:
    """What is tried; the defaults are where the search starts.

    Attributes:
        learning_rate: Of fine-tuning, at its highest; a cosine brings it to 0.
        warmup: Share of fine-tuning's steps over which it first rises from 0.
        epochs: Of fine-tuning.
        patience: Fine-tuning ends after so many epochs in a row without a higher validation accuracy; 0 = never.
        augmentation: How training sees a photo: lab, light or strong; in transfer learning, too.
        class_weights: none, or balanced: each class counts as much in the loss; in transfer learning, too.
        layer_decay: A block's learning rate is the next one's times this, the head's is whole; 1 = the same for all.
        blocks: How many of the backbone's last blocks are trained; 0 = all.
    """

    learning_rate: float = 1e-4
    warmup: float = 0.2
    epochs: int = 10
    patience: int = 0
    augmentation: str = "lab"
    class_weights: str = "none"
    layer_decay: float = 1.0
    blocks: int = 0

    def __str__(self) -> str:
        return ", ".join([f"learning rate {self.learning_rate:g}", *self._changed()])

    @property
    def alone(self) -> str:
        """The name of the transfer learning that it starts from."""
        return ", ".join(["transfer alone", *self._changed(OF_BOTH)])

    @property
    def parameters(self) -> Parameters:
        """What it decides of the pipeline's parameters; there is none for `layer_decay`."""
        return {
            "finetune_learning_rate": [self.learning_rate],
            "finetune_warmup": self.warmup,
            "finetune_epochs": self.epochs,
            "finetune_patience": self.patience,
            "augmentation": self.augmentation,
            "class_weights": self.class_weights,
            "finetune_blocks": self.blocks,
        }

    def _changed(self, names: tuple[str, ...] = ()) -> list[str]:
        """In words, what differs from the defaults, of all fields but the learning rate, or of those named."""
        words = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default and field.name != "learning_rate" and (not names or field.name in names):
                words.append(f"{field.name.replace('_', ' ')} {value if isinstance(value, str) else f'{value:g}'}")
        return words


LEARNING_RATES = [Candidate(learning_rate=rate) for rate in (1e-4, 3e-4, 1e-3)]
IDEAS: list[dict[str, Any]] = [
    {"epochs": 4},
    {"epochs": 20},
    {"patience": 3},
    {"layer_decay": 0.8},
    {"augmentation": "light"},
    {"augmentation": "strong"},
    {"warmup": 0.0},
    {"blocks": 8},
]
# Where classes have unequal numbers of photos, the first is what the second is compared with.
UNBALANCED = [Candidate(learning_rate=3e-4), Candidate(learning_rate=3e-4, class_weights="balanced")]


@dataclass(frozen=True)
class Settings:
    """What all candidates share."""

    switch_epochs: tuple[int, ...] = (1, 8)
    transfer_epochs: int = 8
    image_size: int = 64
    batch_size: int = 32
    seeds: tuple[int, ...] = (1, 2, 3)

    def parameters(self, tried: Candidate, seed: int) -> Parameters:
        """All of the pipeline's, for one candidate and one seed."""
        given = {name: value for name, value in dataclasses.asdict(self).items() if name != "seeds"}
        return resolve("better", given | tried.parameters | {"seed": seed, "backbone": LITE0, "mixed_precision": "off"})

    def shared(self) -> Parameters:
        """The parameters that no candidate and no seed changes: results are comparable where these are equal."""
        own = {*Candidate().parameters, "seed", "dataset"}
        return {name: value for name, value in self.parameters(Candidate(), 0).items() if name not in own}
