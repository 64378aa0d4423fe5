"""What prepare writes: the package says how to read them."""

from typing import TypedDict


class Dataset(TypedDict):
    """Where photos came from."""

    dataset: str
    digest: str


class Source(Dataset):
    """prepare/source. `duplicates` counts, by kind, the photos that are still there more than once.

    `dropped` counts those left out for it. `leaked` are test photos of which train or validation has a copy: their
    places among the test photos. `copied` are those of which the dataset has a copy in train or validation, used or
    dropped: another run may have trained on it. `records` is the digest of the records that all this was counted of.
    """

    records: str
    classes: int
    photos: int
    left_out: int
    duplicates: dict[str, int]
    dropped: int
    leaked: list[int]
    copied: list[int]


class Shard(TypedDict):
    """A file of records."""

    file: str
    sha256: str
    bytes: int


class Split(TypedDict):
    """train, validation or test: `per_class` counts photos in the order of the classes."""

    photos: int
    shards: list[Shard]
    per_class: list[int]


class LeftOut(TypedDict):
    """A photo that is not used: it could not be read, or is a copy."""

    photo: str
    reason: str


class Duplicates(TypedDict):
    """One photo more than once; `kind` is across classes, across splits, or within a class (and one split).

    The same photos may be there as several kinds. `exact` says whether they are the same to the byte.
    """

    photos: list[str]
    kind: str
    exact: bool


class ManifestContent(TypedDict):
    """What prepare says of records; sizes in pixels: photos are kept at height × width and cropped to image_size.

    `split_from` says of each split whether it is the dataset's own or was cut: `dataset` or `cut`. `dropped` are copies
    that are left out for the parameter `leaks`. `notes` are for people: what lies in the dataset and is not used.
    `contents` is the digest of the file that says which photos each split has.
    """

    classes: list[str]
    image_height: int
    image_width: int
    image_size: int
    splits: dict[str, Split]
    split_from: dict[str, str]
    left_out: list[LeftOut]
    duplicates: list[Duplicates]
    dropped: list[LeftOut]
    notes: list[str]
    source: Dataset
    seed: int
    contents: str


class Manifest(ManifestContent):
    """prepare/records/manifest.json; `digest` is of all else but the dataset's address and the notes."""

    digest: str
