"""What an address of a dataset or of weights is: a word, SCHEME:NAME, in a bucket, on a volume, or a path here."""

import re
from pathlib import Path

from switchpoint.errors import DatasetError, StorageError

WORDS = {"dataset": ("sample",), "weights": ("imagenet", "none")}
VOLUMES = Path("/pvc")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:")


def is_remote(address: str) -> bool:
    """Whether it names a bucket or an object."""
    return address.startswith("gs://")


def is_volume(address: str) -> bool:
    """Whether it names a volume of the cluster, which only a pod sees."""
    return address.startswith("pvc://")


def volume(address: str) -> tuple[str, str]:
    """Split pvc://CLAIM/PATH; the path may be empty.

    Raises:
        DatasetError: It is none, or its path leaves the volume.
    """
    match = re.fullmatch(r"pvc://([a-z0-9]([-.a-z0-9]*[a-z0-9])?)(?:/(.*))?", address, re.DOTALL)
    path = (match[3] or "").strip("/") if match else ".."
    if match is None or ".." in path.split("/"):
        raise DatasetError(f"{address!r} is no address on a volume. Write pvc://CLAIM/PATH, without '..'.")
    return match[1], path


def mount(claim: str) -> Path:
    """Where a step sees the volume of a claim."""
    return VOLUMES / claim


def is_local(address: str, kind: str) -> bool:
    """Whether it is a path of this machine; `kind` is dataset or weights. What is there is one, whatever its name."""
    known = address in WORDS[kind] or is_remote(address)
    return not known and (not _SCHEME.match(address) or Path(address).exists())


def is_name(address: str) -> bool:
    """Whether it means the same everywhere: a word, or SCHEME:NAME such as tfds:food101; no path and no bucket.

    A step is given paths of this machine as absolute ones.
    """
    word = any(address in words for words in WORDS.values())
    return word or (bool(_SCHEME.match(address)) and "://" not in address)


def unsupported(address: str) -> str:
    """Why an address is none that is known here, where it would be taken for a path of this machine; "" if it is."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/", address)  # one letter is a drive
    if not scheme or is_remote(address):
        return ""
    return f"{address!r} has the scheme {scheme[1]!r}, which is not supported. Give gs://BUCKET/NAME, or a path."


def last_part(address: str) -> str:
    """What a person calls it wherever it lies: food-101 of /home/me/food-101/ and of gs://bucket/food-101."""
    return address.rstrip("/").rsplit("/", 1)[-1]


def parse(uri: str) -> tuple[str, str]:
    """Split gs://bucket/name; the name may be empty, or end in a slash to say "a prefix, not an object"."""
    match = re.fullmatch(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(.*))?", uri, re.DOTALL)
    if match is None:
        raise StorageError(
            f"{uri!r} is no address of an object. Write gs://BUCKET/NAME; a bucket's name has 3 or more of "
            "a-z, 0-9, '-', '_' and '.', and begins and ends with a letter or digit."
        )
    return match[1], match[2] or ""
