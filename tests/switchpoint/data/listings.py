"""What a source gives."""

from switchpoint.data.sources import Source


def listing(source: Source) -> list[tuple[str, int, str]]:
    return [(photo.name, photo.label, photo.split) for photo in source]


def contents(source: Source) -> dict[str, bytes]:
    return {photo.name: photo.read() for photo in source}
