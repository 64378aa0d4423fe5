"""A volume of the cluster: `pvc://CLAIM/PATH`, a folder or an archive, read where it is mounted."""

import hashlib
import json

from switchpoint import addresses
from switchpoint.data.sources import archive, folder, table
from switchpoint.data.sources.source import Opened
from switchpoint.errors import DatasetError


def find(address: str) -> "Volume | None":
    """What lies on the volume, if the address is of one; it is looked at only when it is read."""
    return Volume(address) if addresses.is_volume(address) else None


class Volume:
    """See `source.Reader`. Nothing is copied."""

    def __init__(self, address: str) -> None:
        self.address = address
        claim, path = addresses.volume(address)
        self.mount = addresses.mount(claim)
        self.path = self.mount / path

    def digest(self) -> str:
        """Hex SHA-256 over paths, sizes and times of change, as fine as the file system has them: nothing is read."""
        reader = self._reader()
        root = self.path if isinstance(reader, folder.Folder) else self.path.parent
        names = [self.path.name]
        if not isinstance(reader, archive.Archive):
            names = [name for name in reader.paths() if not name.endswith("/")]
        hashed = hashlib.sha256()
        try:
            for name in names:
                found = (root / name).stat()
                hashed.update(json.dumps([name, found.st_size, found.st_mtime_ns]).encode() + b"\n")
        except OSError as error:
            raise DatasetError(f"{self.address} can't be read: {error}.") from error
        return hashed.hexdigest()

    def contents(self) -> str:
        """Hex SHA-256 over paths and contents."""
        return self._reader().digest()

    def open(self) -> Opened:
        """Read it as what it is."""
        return self._reader().open()

    def _reader(self) -> "archive.Archive | folder.Folder | table.Table":
        if not self.mount.is_dir():
            raise DatasetError(
                f"{self.address} is on a volume of a cluster, and none is mounted at {self.mount}. `switchpoint submit "
                f"--dataset {self.address}` mounts it; a run started in the UI has the volumes that its profile names "
                f"(claims: [{self.mount.name}]). On this machine give a path."
            )
        found = table.find(str(self.path)) or archive.find(str(self.path)) or folder.find(str(self.path))
        if found is None:
            what = "neither a folder of photos nor a tar archive, CSV or Parquet" if self.path.exists() else "not there"
            raise DatasetError(f"{self.address} is {what}: it is {self.path} where the volume is mounted.")
        return found
