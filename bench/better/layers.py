"""Layer-wise decay of the learning rate, which the product does not have.

Source:
    Howard and Ruder 2018, Universal Language Model Fine-tuning for Text Classification (discriminative fine-tuning)
"""

from collections.abc import Sequence
from typing import Any

import keras

from switchpoint.training.backbones.blocks import blocks


class LayerDecay(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam with a factor for each variable's learning rate. Of a scaled gradient Adam's steps would be the same."""

    def __init__(self, learning_rate: Any, factors: Sequence[float]) -> None:
        """As Adam's; `factors` are in the order of the model's trainable variables."""
        super().__init__(learning_rate)
        self._factors = tuple(factors)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)


def factors(model: keras.Model, backbone: keras.Model, pattern: str, decay: float) -> list[float]:
    """What each trainable variable's learning rate is multiplied by: 1 in the head, `decay` in the block below it.

    Args:
        model: Backbone and head.
        backbone: In `model`.
        pattern: As `blocks` takes it.
        decay: A block's rate is the next one's times this.
    """
    of_blocks = {
        id(variable): decay**above
        for above, layers in enumerate(reversed(blocks(backbone, pattern)), start=1)
        for layer in layers
        for variable in layer.trainable_variables
    }
    return [of_blocks.get(id(variable), 1.0) for variable in model.trainable_variables]
