"""Where random draws come from: a stream for each seed and phase."""

import hashlib


def stream(seed: int, phase: str) -> int:
    """The seed of all draws of a phase, in [0, 2⁶²): order of the photos, their augmentation, dropout, a new head.

    All fine-tunings of a seed have the same: what differs between them is where they start (common random numbers). It
    is a hash, so that seed 1 with something added is not seed 2.

    Args:
        seed: The training's.
        phase: transfer or finetune.
    """
    return int.from_bytes(hashlib.sha256(f"{seed} {phase}".encode()).digest()[:8]) >> 2
