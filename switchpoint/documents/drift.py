"""What a comparison of new photos with held-out ones comes to."""

from typing import TypedDict

from switchpoint.documents.records import LeftOut


class BeforeAfter(TypedDict):
    """A mean over the reference's photos, and over the new ones."""

    reference: float
    new: float


DriftShare = TypedDict("DriftShare", {"class": str, "reference": float, "new": float})
UnusualPhoto = TypedDict("UnusualPhoto", {"photo": str, "class": str, "confidence": float, "more_unusual_than": float})


class Drift(TypedDict):
    """What `switchpoint drift` says: `photos` and `reference` are counts, `p` is that of the one test.

    `beyond` is the share of new photos that are more unusual than all of the reference; `shares` are of the photos that
    are taken for each class. `unusual` has all photos, the most unusual first, and of how many of the reference's, as a
    share, it is more unusual.
    """

    drift: bool
    alpha: float
    p: float
    photos: int
    reference: int
    confidence: BeforeAfter
    beyond: float
    shares: list[DriftShare]
    unusual: list[UnusualPhoto]
    unreadable: list[LeftOut]


class NewPhotos(TypedDict):
    """drift/comparison: what the step of a run says of the photos at an address; None where they were not compared."""

    photos: str
    drift: Drift | None
    sentence: str
