"""The split where a dataset has none of its own: of each photo by itself, a function of its content and the seed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

    from switchpoint.data.sources.source import Split

TEST_FRACTION = 0.2  # of the photos that have no split, where the dataset has no test split


def draw(seed: int, name: str) -> bytes:
    """A number drawn for a photo that depends on nothing else: sort by it to shuffle, take the first to sample."""
    return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()


def cut(content: bytes, own: Container[str], validation_fraction: float, seed: int) -> Split:
    """Where a photo belongs that its dataset has in train: the same whichever other photos there are.

    Args:
        content: SHA-256 of the photo's bytes, so that copies of one are never apart.
        own: The splits that the dataset has, which get none of train's photos.
        validation_fraction: Of what is no test photo.
        seed: Another one is another split.
    """
    number = int.from_bytes(draw(seed, content.hex())[:8]) / 2**64
    test = 0.0 if "test" in own else TEST_FRACTION
    validation = 0.0 if "validation" in own else (1 - test) * validation_fraction
    if number < test:
        return "test"
    return "validation" if number < test + validation else "train"
