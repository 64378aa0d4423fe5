"""What competes, and what all of it shares, as the pipeline's parameters."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from switchpoint.command.parameters import resolve
from switchpoint.documents.lineage import Parameters
from switchpoint.training.backbones.table import LITE0


@dataclass(frozen=True)
class Candidate:
    """What is tried; the defaults are where the search starts.

    Attributes:
        learning_rate: Of fine-tuning, at its highest; a cosine brings it to 0.
        warmup: Share of fine-tuning's steps over which it first rises from 0.
        label_smoothing: In transfer learning too, as the pipeline has one parameter for both.
        crop_area: Smallest share of the photo's crop that is blown up to the whole (RandomResizedCrop); 1 = never.
        blocks: How many of the backbone's last blocks are trained; 0 = all.
    """

    learning_rate: float = 1e-4
    warmup: float = 0.0
    label_smoothing: float = 0.0
    crop_area: float = 1.0
    blocks: int = 0

    def __str__(self) -> str:
        changed = [
            f"{field.name.replace('_', ' ')} {getattr(self, field.name):g}"
            for field in dataclasses.fields(self)
            if field.name == "learning_rate" or getattr(self, field.name) != field.default
        ]
        return ", ".join(changed)

    @property
    def alone(self) -> str:
        """The name of the transfer learning that it starts from."""
        return f"transfer alone, label smoothing {self.label_smoothing:g}" if self.label_smoothing else "transfer alone"

    @property
    def parameters(self) -> Parameters:
        """What it decides of the pipeline's parameters; there is none for enlarged crops."""
        return {
            "finetune_learning_rate": [self.learning_rate],
            "finetune_warmup": self.warmup,
            "label_smoothing": self.label_smoothing,
            "finetune_blocks": self.blocks,
        }


LEARNING_RATES = [Candidate(learning_rate=rate) for rate in (1e-4, 3e-4, 1e-3, 1e-5)]
IDEAS: list[dict[str, Any]] = [{"label_smoothing": 0.1}, {"warmup": 0.2}, {"crop_area": 0.5}, {"blocks": 8}]


@dataclass(frozen=True)
class Settings:
    """What all candidates share."""

    switch_epochs: tuple[int, ...]
    transfer_epochs: int
    finetune_epochs: int
    image_size: int
    batch_size: int
    seeds: tuple[int, ...]

    def parameters(self, tried: Candidate, seed: int) -> Parameters:
        """All of the pipeline's, for one candidate and one seed."""
        given = {name: value for name, value in dataclasses.asdict(self).items() if name != "seeds"}
        return resolve(
            "better",
            given | tried.parameters | {"seed": seed, "backbone": LITE0, "feature_views": 0, "mixed_precision": "off"},
        )

    def shared(self) -> Parameters:
        """The parameters that no candidate and no seed changes: results are comparable where these are equal."""
        own = {*Candidate().parameters, "seed", "dataset"}
        return {name: value for name, value in self.parameters(Candidate(), 0).items() if name not in own}
