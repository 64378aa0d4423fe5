"""The same photo more than once: as bytes, or as a person sees it, recompressed, resized, cropped a little or mirrored.

Every photo has a print: difference hashes of it and of its mirror image, and a small picture. Hashes that agree in some
of their bits bring candidates together without a comparison of all pairs; what the small pictures say decides.
docs/duplicates.md has what is found and what is not, and where the thresholds come from.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    import numpy as np
    from PIL.Image import Image

    Array = np.ndarray[Any, Any]

SIDE = 32  # of the small picture, in pixels
BITS = 128  # of a hash
APART = 32  # bits at most in which hashes of candidates differ: chance brings 5 of 100,000 pairs so near
DIFFERENT = 0.45  # of the spread of a picture: more than that in one of its 16 parts, and it is another photo
TABLES = 100  # of hashes by some of their bits; candidates 20 bits apart are missed by one in 300 of 100,000 photos
NEIGHBOURS = 64  # of those that agree in a table's bits, so many are compared with each
BATCH = 256  # pairs
CROPPED = 0.12  # of a side at most, as far as two pictures are moved to fit


def fingerprint(image: Image) -> bytes:
    """What `near` compares of a photo.

    Args:
        image: RGB, of any size.
    """
    import dhash
    from PIL import Image as images
    from PIL import ImageOps

    small = image.resize((SIDE, SIDE), images.Resampling.HAMMING, reducing_gap=3)

    def hashed(picture: Image) -> bytes:
        gray = picture.convert("L").resize((9, 9), images.Resampling.LANCZOS)
        rows, columns = dhash.dhash_row_col(list(gray.tobytes()))
        return bytes(rows.to_bytes(8, "big") + columns.to_bytes(8, "big"))

    return hashed(small) + hashed(ImageOps.mirror(small)) + small.tobytes()


def read_prints(file: IO[bytes], count: int) -> Array:
    """Prints that were written one after the other: `hash` and `mirrored`, uint64 (2,), and `pixels`, read late."""
    import numpy as np

    kind = np.dtype([("hash", "<u8", 2), ("mirrored", "<u8", 2), ("pixels", "u1", (SIDE, SIDE, 3))])
    file.flush()
    return np.memmap(file, kind, "r", shape=(count,)) if count else np.empty(0, kind)


def near(prints: Array) -> list[tuple[int, int]]:
    """Pairs of prints of one photo, each once, the smaller number first.

    Args:
        prints: From `read_prints`. Of photos of the same bytes give one, or each is compared with each.
    """
    import numpy as np

    hashes = np.concatenate([prints["hash"], prints["mirrored"]])
    count, found = len(prints), set[tuple[int, int]]()
    pairs = candidates(hashes)
    for start in range(0, len(pairs), BATCH):
        first, second = pairs[start : start + BATCH].T
        one = prints["pixels"][first % max(count, 1)]
        other = prints["pixels"][second % max(count, 1)]
        other = np.where((second >= count)[:, None, None, None], other[:, :, ::-1], other)
        for index in np.flatnonzero(same(one, other)):
            found.add((int(first[index]), int(second[index] % count)))
    return sorted({(min(pair), max(pair)) for pair in found})


def candidates(hashes: Array) -> Array:
    """Pairs of numbers (pairs, 2), the first of a photo itself, the second of a photo or of a mirror image.

    Args:
        hashes: uint64 (2 × photos, 2): of all photos, then of their mirror images.
    """
    import numpy as np

    entries = len(hashes)
    count = entries // 2
    drawn = np.random.default_rng(0)
    bits = np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8).reshape(entries, -1), axis=1)
    width = max(8, round(np.log2(max(count, 1))))  # so that few photos agree by chance
    found = [np.empty((0, 2), np.int64)]
    for _ in range(TABLES if count else 0):
        chosen = drawn.choice(BITS, width, replace=False)
        keys = bits[:, chosen] @ (1 << np.arange(width))
        order = drawn.permutation(entries)
        order = order[np.argsort(keys[order], kind="stable")]
        keys = keys[order]
        for step in range(1, NEIGHBOURS):
            together = np.flatnonzero(keys[step:] == keys[:-step])
            if not len(together):
                break
            pairs = np.sort(np.stack([order[together], order[together + step]], axis=1), axis=1)
            differing = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]).sum(axis=1)
            near = (pairs[:, 0] < count) & (pairs[:, 1] - pairs[:, 0] != count) & (differing <= APART)
            found.append(pairs[near])
    return np.unique(np.concatenate(found), axis=0)


def same(one: Array, other: Array) -> Array:
    """Whether pictures show the same, one laid over the other as well as it goes: bool (pairs,).

    Args:
        one: uint8 (pairs, side, side, 3).
        other: The same.
    """
    import numpy as np

    first, second = one.astype(np.float32), other.astype(np.float32)
    moved, inside = _lay(first, _fit(first.mean(axis=3, keepdims=True), second.mean(axis=3, keepdims=True)))
    weight = inside[..., None].astype(np.float32)
    pixels = weight.sum(axis=(1, 2), keepdims=True)

    def centred(picture: Array) -> Array:
        mean: Array = (picture * weight).sum(axis=(1, 2), keepdims=True) / pixels
        return (picture - mean) * weight

    first, second = centred(moved), centred(second)
    whole = (1, 2, 3)
    gain = (first * second).sum(axis=whole) / np.maximum((first**2).sum(axis=whole), 1)
    left = second - first * gain[:, None, None, None]
    parts = (len(one), 4, SIDE // 4, 4, SIDE // 4, -1)
    weights = np.broadcast_to(weight, left.shape).reshape(parts).sum(axis=(2, 4, 5))
    worst = np.sqrt((left**2).reshape(parts).sum(axis=(2, 4, 5)) / np.maximum(weights, 1)).max(axis=(1, 2))
    spread = np.sqrt((second**2).sum(axis=whole) / (3 * pixels[:, 0, 0, 0]))
    found: Array = worst <= DIFFERENT * np.maximum(spread, 1)  # below one level there is nothing to go by
    return found


def _lay(pictures: Array, place: Array) -> tuple[Array, Array]:
    """Stretch and shift pictures (pairs, side, side, channels), bilinearly; and which pixels are inside of them.

    Args:
        pictures: float32.
        place: (pairs, 4): across, the stretch and the shift, down the same; in sides of the picture, about its middle.
    """
    import numpy as np

    side = pictures.shape[1]
    line = (np.arange(side) - (side - 1) / 2).astype(np.float32)
    pair = np.arange(len(pictures))[:, None]

    def along(axis: int) -> tuple[Array, Array, Array]:
        at = line * (1 + place[:, axis : axis + 1]) + place[:, axis + 1 : axis + 2] * side + (side - 1) / 2
        inside = (at >= 0) & (at <= side - 1)
        low = np.clip(at, 0, side - 1.001)
        return low.astype(int), (low % 1)[:, :, None, None], inside

    column, right, across = along(0)
    row, below, down = along(2)
    mixed = pictures[pair, row] * (1 - below) + pictures[pair, row + 1] * below
    mixed = mixed.transpose(0, 2, 1, 3)
    mixed = mixed[pair, column] * (1 - right) + mixed[pair, column + 1] * right
    return mixed.transpose(0, 2, 1, 3), down[:, :, None] & across[:, None, :]


def _fit(one: Array, other: Array) -> Array:
    """Where `one` lies best over `other`, as `_lay` takes it, by steps of Gauss and Newton.

    Args:
        one: float32 (pairs, side, side, 1).
        other: The same.

    Source:
        Baker and Matthews 2004, Lucas-Kanade 20 Years On, section 2, with gain and bias
    """
    import numpy as np

    count, side = one.shape[:2]
    line = ((np.arange(side) - (side - 1) / 2) / side).astype(np.float32)
    place = np.zeros((count, 4), np.float32)
    steady = np.diag([1.0, 1, 1, 1, 1e-3, 1e-3]).astype(np.float32)  # or flat pictures could not be solved for
    for _ in range(6):
        moved, inside = _lay(one, place)
        moved = moved[..., 0]
        down, across = np.gradient(moved, 1 / side, axis=(1, 2))
        slopes = [across * line, across, down * line[:, None], down, moved, np.ones_like(moved)]
        system = (np.stack(slopes, axis=-1) * inside[..., None]).reshape(count, -1, 6)
        turned = system.transpose(0, 2, 1)
        solved = np.linalg.solve(turned @ system + steady, turned @ (other * inside[..., None]).reshape(count, -1, 1))
        gain = np.maximum(np.abs(solved[:, 4]), 0.2)
        place = np.clip(place + solved[:, :4, 0] / gain, -CROPPED, CROPPED).astype(np.float32)
    return place


def together(count: int, pairs: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Numbers below `count` that pairs connect, in order; those that nothing connects are left out."""
    leader = list(range(count))

    def lead(number: int) -> int:
        while leader[number] != number:
            leader[number] = leader[leader[number]]
            number = leader[number]
        return number

    for first, second in pairs:
        low, high = sorted((lead(first), lead(second)))
        leader[high] = low
    groups: dict[int, list[int]] = {}
    for number in sorted({number for pair in pairs for number in pair}):
        groups.setdefault(lead(number), []).append(number)
    yield from groups.values()
