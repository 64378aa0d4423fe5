"""The split where a dataset has none of its own: seeded, stratified, a function of the photos' names."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from functools import partial


def draw(seed: int, name: str) -> bytes:
    """A number drawn for a photo that depends on nothing else: sort by it to shuffle, take the first to sample."""
    return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()


def cut(names: Iterable[tuple[str, int]], fraction: float, seed: int) -> set[str]:
    """Choose `fraction` of each class: seeded, at least one, never all; none of a class that has only one."""
    by_class: dict[int, list[str]] = defaultdict(list)
    for name, label in names:
        by_class[label].append(name)
    chosen: set[str] = set()
    for members in by_class.values():
        members.sort(key=partial(draw, seed))
        chosen.update(members[: min(max(1, round(len(members) * fraction)), len(members) - 1)])
    return chosen
