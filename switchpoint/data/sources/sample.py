"""Drawn dishes, which need no download and no licence: `sample`."""

import hashlib
from functools import partial

from switchpoint.data.sources import dishes
from switchpoint.data.sources.source import Opened, Photo, Split


def find(address: str) -> "Sample | None":
    """The drawn dishes, if they are meant."""
    return Sample() if address == "sample" else None


class Sample:
    """See `source.Reader`."""

    def digest(self) -> str:
        """Hex SHA-256 of the drawing's version."""
        return hashlib.sha256(f"sample {dishes.VERSION}".encode()).hexdigest()

    def open(self) -> Opened:
        """Name the drawings; each is drawn when it is read."""
        entries: list[tuple[str, int, Split]] = [
            (f"{dish}/{split}-{index:03d}.jpg", label, split)
            for label, dish in enumerate(dishes.DISHES)
            for split, count in dishes.PHOTOS.items()
            for index in range(count)
        ]
        photos = [Photo(*entry, partial(dishes.photograph, entry[0])) for entry in sorted(entries)]
        return Opened(list(dishes.DISHES), len(photos), lambda: iter(photos), frozenset({"train", "test"}))
