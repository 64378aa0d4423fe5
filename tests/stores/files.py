"""The files of the fixture `photos`, as an upload sees them."""

from pathlib import Path

PHOTOS = [
    "archive.tar",
    "pho/1.jpg",
    "ramen/1.jpg",
    "ramen/2 é#?%.jpg",
    "sushi/1.jpg",
    "sushi/2.jpg",
    "sushi/empty.jpg",
]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def visible(photos: Path) -> dict[str, bytes]:
    return {name: (photos / name).read_bytes() for name in PHOTOS}
