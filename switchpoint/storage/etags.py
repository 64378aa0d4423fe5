"""ETags of S3: the MD5 of what was sent in one request, or the MD5 of the parts' MD5s, with their count.

The only checksum that a listing has, and that SeaweedFS, MinIO and S3 itself all keep. An object that was encrypted
with a key of the key service has another, which says nothing.
"""

import hashlib
import re

PART = 16 * 2**20  # bytes of a part, as this project sends them; in memory


class Etag:
    """The ETag of bytes that come piece by piece."""

    def __init__(self, part_size: int | None) -> None:
        """`part_size` in bytes; None: sent in one request."""
        self.part_size = part_size
        self.whole = _md5()
        self.parts: list[bytes] = []
        self.room = part_size or 0

    def update(self, data: bytes) -> None:
        """The next bytes."""
        if self.part_size is None:
            self.whole.update(data)
            return
        view = memoryview(data)
        while view:
            piece, view = view[: self.room], view[self.room :]
            self.whole.update(piece)
            self.room -= len(piece)
            if not self.room:
                self._end_part()

    def _end_part(self) -> None:
        self.parts.append(self.whole.digest())
        self.whole, self.room = _md5(), self.part_size or 0

    def value(self) -> str:
        """Of all bytes so far; no more may follow."""
        if self.part_size is None:
            return self.whole.hexdigest()
        if self.room < self.part_size:
            self._end_part()
        return f"{_md5(b''.join(self.parts)).hexdigest()}-{len(self.parts)}"


def count(etag: str) -> int | None:
    """In how many parts it was sent; 0: in one request; None: it is no checksum."""
    found = re.fullmatch(r"[0-9a-f]{32}(?:-(\d+))?", etag)
    return None if found is None else int(found[1] or 0)


def part_size(size: int) -> int:
    """Bytes of a part of an object that this project sends: S3 takes 10,000 at most."""
    return max(PART, -(-size // 10_000))


def _md5(data: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(data, usedforsecurity=False)
