"""What an address of photos or of weights is: a word, SCHEME:NAME, in a bucket, on a volume, or a path here."""

import re
from pathlib import Path

from switchpoint.errors import DatasetError, StorageError

WORDS = {"dataset": ("sample",), "weights": ("imagenet", "none"), "drift": ("",)}
VOLUMES = Path("/pvc")
# Cloud Storage; S3 and what speaks like it; and that as Kubeflow Pipelines writes it.
STORES = ("gs", "s3", "minio")
BUCKET = "gs:// or s3://BUCKET/NAME"  # for people, in errors
# A bucket's or a volume's address with a colon or slashes missing, which is otherwise a path.
_SLIP = re.compile(r"(s3|gs|gcs|https?|file|hdfs|abfss?|minio|pvc|ftp)(?::(?!/)|//)", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:")


def is_remote(address: str) -> bool:
    """Whether it names a bucket or an object."""
    return address.startswith(tuple(f"{scheme}://" for scheme in STORES))


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
    """Whether it is a path of this machine; `kind` is one of `WORDS`. What is there is one, whatever its name."""
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
    if (slip := _SLIP.match(address)) and not Path(address).exists():
        scheme = slip
    if not scheme or is_remote(address):
        return ""
    return f"{address!r} has the scheme {scheme[1]!r}, which is not supported. Give {BUCKET}, or a path."


def last_part(address: str) -> str:
    """What a person calls it wherever it lies: food-101 of /home/me/food-101/ and of gs://bucket/food-101."""
    return address.rstrip("/").rsplit("/", 1)[-1]


def scheme(uri: str) -> str:
    """One of `STORES`."""
    parse(uri)
    return uri.partition(":")[0]


def place(uri: str) -> str:
    """Scheme and bucket: gs://bucket of gs://bucket/name."""
    return f"{scheme(uri)}://{parse(uri)[0]}"


def parse(uri: str) -> tuple[str, str]:
    """Split gs://bucket/name; the name may be empty, or end in a slash to say "a prefix, not an object"."""
    stores = "|".join(STORES)
    match = re.fullmatch(rf"(?:{stores})://([a-z0-9][a-z0-9._-]{{1,220}}[a-z0-9])(?:/(.*))?", uri, re.DOTALL)
    if match is None:
        raise StorageError(
            f"{uri!r} is no address of an object. Write {BUCKET}; a bucket's name has 3 or more of "
            "a-z, 0-9, '-', '_' and '.', and begins and ends with a letter or digit."
        )
    return match[1], match[2] or ""
