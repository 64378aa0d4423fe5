"""Food-101's training photos as datasets to cross-validate on."""

from pathlib import Path

from switchpoint.data.split import draw

FOLDS = 3
RAREST = 0.1  # of its photos, what the rarest class keeps in unbalanced folds


def folds() -> range:
    """Their numbers."""
    return range(1, FOLDS + 1)


def write_folds(dataset: Path, directory: Path, unbalanced: bool = False) -> list[Path]:
    """Make a dataset of each fold: the images linked, only training photos listed.

    Args:
        dataset: Food-101's folder.
        directory: Where `fold-1`, `fold-2` … are made.
        unbalanced: Leave photos to train on out, as `_thinned` does; the held-out ones stay.

    Returns:
        The folders. Each training photo is in the test list of exactly one; every class is spread evenly.
    """
    listed = (dataset / "meta" / "train.txt").read_text().split()
    held_out = _held_out(listed)
    folders = []
    for fold in folds():
        folder = directory / f"fold-{fold}"
        (folder / "meta").mkdir(parents=True, exist_ok=True)
        for name in listed:
            link = folder / "images" / f"{name}.jpg"
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to((dataset / "images" / f"{name}.jpg").resolve())
        for split, inside in (("train", False), ("test", True)):
            names = [name for name in listed if (held_out[name] == fold) == inside]
            if unbalanced and not inside:
                names = _thinned(names, fold)
            (folder / "meta" / f"{split}.txt").write_text("\n".join(names) + "\n")
        (folder / "meta" / "classes.txt").write_text((dataset / "meta" / "classes.txt").read_text())
        folders.append(folder)
    return folders


def _held_out(listed: list[str]) -> dict[str, int]:
    """The fold that each photo, `class/id`, is held out in."""
    return {name: number % FOLDS + 1 for members in _by_class(listed).values() for number, name in enumerate(members)}


def _thinned(names: list[str], seed: int) -> list[str]:
    """All photos of one class, a tenth of another's, of those between in equal ratios; the seed draws their order."""
    classes = _by_class(names)
    order = sorted(classes, key=lambda name: draw(seed, name))
    kept = [
        name
        for number, label in enumerate(order)
        for name in classes[label][: max(1, round(len(classes[label]) * RAREST ** (number / max(1, len(order) - 1))))]
    ]
    return sorted(kept)


def _by_class(names: list[str]) -> dict[str, list[str]]:
    """The photos, `class/id`, of each class, in an order that is drawn."""
    classes: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: draw(0, name)):
        classes.setdefault(name.split("/")[0], []).append(name)
    return classes
