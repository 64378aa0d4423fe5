"""Object storage: `gs://BUCKET/NAME` or `s3://BUCKET/NAME`, a folder, an archive or a table there."""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

from switchpoint import addresses, storage
from switchpoint.data.sources import archive, folder, table
from switchpoint.data.sources.source import Opened
from switchpoint.errors import DatasetError


def find(address: str) -> "Bucket | None":
    """What lies in the bucket, if the address is of one."""
    return Bucket(address) if addresses.is_remote(address) else None


class Bucket:
    """What lies in object storage, fetched once to a temporary directory and read there; a table with its folder."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        path = PurePosixPath(uri)
        self.table = path.name if path.suffix.lower() in table.SUFFIXES else ""
        self.root = uri.rpartition("/")[0] if self.table else uri
        if self.table and "/" not in addresses.parse(uri)[1]:
            raise DatasetError(
                f"{uri}: a table is fetched with all that lies in its folder, and here that is the whole bucket. Put "
                f"it into a folder of its own with its photos, as in {self.root}/{path.stem}/{path.name}."
            )
        self.fetched = ""

    def digest(self) -> str:
        """Hex SHA-256 over what a listing has: names, versions, checksums."""
        return self.fetched or self._digest(storage.digest(self.root))

    def _digest(self, listed: str) -> str:
        return hashlib.sha256(f"{self.table} in {listed}".encode()).hexdigest() if self.table else listed

    def open(self) -> Opened:
        """Fetch it, then read it as what it is."""
        self.directory = tempfile.TemporaryDirectory()
        target = Path(self.directory.name, PurePosixPath(self.root).name)
        self.fetched = self._digest(storage.download(self.root, target))
        found = str(target / self.table)
        reader = table.find(found) or archive.find(found) or folder.find(found)
        if reader is None:
            raise DatasetError(f"{self.uri} is neither a folder of photos nor a tar archive, CSV or Parquet.")
        opened = reader.open()
        kept = self.directory  # for as long as the photos may be read
        return replace(opened, photos=lambda: (photo for _ in [kept] for photo in opened.photos()))
