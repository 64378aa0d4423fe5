"""What every source of photos gives, and what the table of them asks of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Photo:
    """One photo, unread.

    Attributes:
        name: `class/file`, unique in its dataset.
        label: In [0, classes).
        split: The official one; "train" where that is to be cut still.
        read: Gives the original bytes; raises OSError.
    """

    name: str
    label: int
    split: Split
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Opened:
    """What a reader finds in a dataset.

    Attributes:
        classes: Names in the order of labels.
        count: Number of photos.
        photos: Starts an iteration over them, in an order that depends on nothing but the dataset's content; a photo of
            a stream is in memory until it is dropped.
        own: The splits that are the dataset's own; others are cut from train once the photos are read: `split.cut`.
        notes: What a person should know of it, such as photos that have no class.
    """

    classes: list[str]
    count: int
    photos: Callable[[], Iterator[Photo]]
    own: frozenset[Split] = frozenset()
    notes: Sequence[str] = ()


class Reader(Protocol):
    """A dataset at one address."""

    def digest(self) -> str:
        """Hex SHA-256 over what it holds: paths and contents, or name and version of what has one."""

    def open(self) -> Opened:
        """Read names, and the splits that it has."""
