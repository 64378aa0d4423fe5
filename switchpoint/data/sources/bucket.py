"""Object storage: `gs://BUCKET/NAME` or `s3://BUCKET/NAME`, a folder or an archive there."""

import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

from switchpoint import addresses, storage
from switchpoint.data.sources import archive, folder
from switchpoint.data.sources.source import Opened
from switchpoint.errors import DatasetError


def find(address: str) -> "Bucket | None":
    """What lies in the bucket, if the address is of one."""
    return Bucket(address) if addresses.is_remote(address) else None


class Bucket:
    """A folder or an archive in object storage, fetched once to a temporary directory and read there."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.fetched = ""

    def digest(self) -> str:
        """Hex SHA-256 over what a listing has: names, versions, checksums."""
        return self.fetched or storage.digest(self.uri)

    def open(self, seed: int) -> Opened:
        """Fetch it, then read it as what it is."""
        self.directory = tempfile.TemporaryDirectory()
        target = Path(self.directory.name, PurePosixPath(self.uri).name)
        self.fetched = storage.download(self.uri, target)
        reader = archive.find(str(target)) or folder.find(str(target))
        if reader is None:
            raise DatasetError(f"{self.uri} is neither a folder of photos nor a tar archive.")
        opened = reader.open(seed)
        kept = self.directory  # for as long as the photos may be read
        return replace(opened, photos=lambda: (photo for _ in [kept] for photo in opened.photos()))
