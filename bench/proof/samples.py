"""Small data sets drawn from real photos: some classes, some photos of each to train on, others to test on."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.prepared import prepare_records
from switchpoint.data import records
from switchpoint.data.manifest import SPLITS, read_manifest, write_manifest, writing
from switchpoint.data.records import Example, write_split
from switchpoint.data.split import cut

if TYPE_CHECKING:
    from pathlib import Path

    from switchpoint.data.sources.source import Split


class Kind(NamedTuple):
    """What is drawn.

    Attributes:
        dataset: A folder of photos' name.
        classes: How many.
        photos: To train and to validate on, a class.
        validation: The share of them that is validated on.
        test: Photos of each class that measure true accuracy: others than those.
    """

    dataset: str
    classes: int
    photos: int
    validation: float
    test: int


# In turns. They validate on about 32 to 96 photos; other numbers can be tried where rules are compared.
KINDS = (
    Kind("food101-mini", 6, 60, 0.2, 40),
    Kind("food101-64px", 8, 20, 0.2, 20),
    Kind("food101-mini", 8, 40, 0.2, 50),
    Kind("food101-64px", 12, 25, 0.2, 15),
)


def kind_of(draw: int) -> Kind:
    """Of a draw, from 1."""
    return KINDS[(draw - 1) % len(KINDS)]


def pool(photos: Path, name: str, directory: Path, image_size: int) -> Path:
    """Records of a whole dataset, decoded once for all draws."""
    made = directory / f"{name}-{image_size}"
    if not made.exists():
        prepare_records(photos / name, made, workers=1, image_size=image_size)
    return made


def write(draw: int, whole: Path, directory: Path, kind: Kind | None = None) -> Path:
    """Records of a draw, of which number, kind and photos decide everything.

    Args:
        draw: Its number, from 1.
        whole: From `pool`.
        directory: To write.
        kind: By default the draw's.
    """
    kind, manifest = kind or kind_of(draw), read_manifest(whole)
    random = np.random.default_rng([14, draw])
    chosen = sorted(random.choice(len(manifest["classes"]), kind.classes, replace=False).tolist())
    of_class: dict[int, list[Example]] = defaultdict(list)
    for split in SPLITS:
        for row in records.dataset(whole, split).as_numpy_iterator():
            if row["label"] in chosen:
                label = chosen.index(row["label"])
                of_class[label].append(Example(row["image"], label, row["name"].decode()))
    trained, tested = [], []
    for _, members in sorted(of_class.items()):
        order = [members[number] for number in random.permutation(len(members))]
        trained += order[: kind.photos]
        tested += order[kind.photos : kind.photos + kind.test]
    random.shuffle(trained)
    splits: dict[Split, list[Example]] = {"train": [], "validation": [], "test": tested}
    for each in trained:
        splits[cut(hashlib.sha256(each.image).digest(), {"test"}, kind.validation, draw)].append(each)
    with writing(directory) as partial:
        written = {
            name: write_split(partial, name, examples, len(examples), kind.classes) for name, examples in splits.items()
        }
        classes = [manifest["classes"][number] for number in chosen]
        content = {**manifest, "classes": classes, "splits": written, "seed": draw}
        write_manifest(partial, content)  # type: ignore[arg-type]
    return directory
