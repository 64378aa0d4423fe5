"""Food-101's training photos as datasets to cross-validate on."""

from pathlib import Path

from switchpoint.data.split import draw

FOLDS = 3


def folds() -> range:
    """Their numbers."""
    return range(1, FOLDS + 1)


def write_folds(dataset: Path, directory: Path) -> list[Path]:
    """Make a dataset of each fold: the images linked, only training photos listed.

    Args:
        dataset: Food-101's folder.
        directory: Where `fold-1`, `fold-2` … are made.

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
            (folder / "meta" / f"{split}.txt").write_text("\n".join(names) + "\n")
        (folder / "meta" / "classes.txt").write_text((dataset / "meta" / "classes.txt").read_text())
        folders.append(folder)
    return folders


def _held_out(listed: list[str]) -> dict[str, int]:
    """The fold that each photo, `class/id`, is held out in."""
    classes: dict[str, list[str]] = {}
    for name in listed:
        classes.setdefault(name.split("/")[0], []).append(name)
    return {
        name: number % FOLDS + 1
        for members in classes.values()
        for number, name in enumerate(sorted(members, key=lambda name: draw(0, name)))
    }
