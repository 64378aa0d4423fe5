"""The photos at an address against those that a training held out, from the fetching to the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchpoint.drift import page, seen, study
from switchpoint.errors import NoPhotosError
from switchpoint.files import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from switchpoint.documents.drift import Drift
    from switchpoint.documents.records import LeftOut

FEWEST = 20  # photos on either side
MOST = 2_000  # new photos


def compare(made: seen.Made, address: str, html: Path, most: int = MOST) -> Drift:
    """Ask whether they look alike, and write the page.

    Args:
        made: The network, and what was held out.
        address: Of the new photos: a folder of this machine, gs://… or s3://…
        html: The page to write.
        most: Look at so many new photos.

    Raises:
        NoPhotosError: There are too few on either side.
        StorageError: The bucket can't be read, or holds nothing there.
    """
    _enough("held-out", len(made.reference.features))
    with seen.fetched(address, most) as photos:
        _enough("new", len(photos))  # before a network is loaded
        new, unreadable, images = seen.see(made, list(photos.values()))
        names = {path: name for name, path in photos.items()}
    left_out: list[LeftOut] = [{"photo": names[path], "reason": reason} for path, reason in unreadable.items()]
    _enough("new", len(new.photos), left_out)
    found = study.compare(made.reference, new._replace(photos=[names[path] for path in new.photos]))
    found["unreadable"] = left_out
    write_text(html, page.html(found, address, {names[path]: image for path, image in images.items()}))
    return found


def _enough(which: str, count: int, unreadable: Sequence[LeftOut] = ()) -> None:
    if count < FEWEST:
        said = f"{count} {which} photos are too few to tell a change from chance: {FEWEST} or more."
        if unreadable:
            first = unreadable[0]
            said += f" {len(unreadable)} more can't be read; the first, {first['photo']}: {first['reason']}."
        raise NoPhotosError(said)
