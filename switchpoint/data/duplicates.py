"""The same photo more than once: as bytes, or as a person sees it, recompressed, resized, cropped a little or mirrored.

Every photo has a print: difference hashes of it and of its mirror image, and a small picture. Hashes that agree in some
of their bits bring candidates together without a comparison of all pairs; what the small pictures say decides.
docs/duplicates.md has what is found and what is not, and where the thresholds come from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING

from switchpoint.cores import cores

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from PIL.Image import Image

    Array = np.ndarray[Any, Any]

SIDE = 32  # of the small picture, in pixels
BITS = 128  # of a hash
APART = 32  # bits at most in which hashes of candidates differ: chance brings 5 of 100,000 pairs so near
DIFFERENT = 0.45  # of the spread of a picture: more than that in one of its 16 parts, and it is another photo
TABLES = 100  # of hashes by some of their bits; candidates 20 bits apart are missed by one in 300 of 100,000 photos
NEIGHBOURS = 32  # of those that agree in a table's bits, so many are compared with each
NEAREST = 20  # candidates of a photo that are looked at
PRINT = [("hash", "<u8", 2), ("mirrored", "<u8", 2), ("pixels", "u1", (SIDE, SIDE, 3))]
BATCH = 256  # pairs
CROPPED = 0.12  # of a side at most, as far as two pictures are moved to fit
FAINT = 3  # levels of spread: a picture with less shows next to nothing that could be compared
TINTED = 24  # levels that a channel may be brighter than the others are: more, and one is the other in another colour


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

    file.flush()
    return np.memmap(file, np.dtype(PRINT), "r", shape=(count,)) if count else np.empty(0, PRINT)


def near(prints: Array, numbers: Array) -> list[tuple[int, int]]:
    """Pairs of prints of one photo, the smaller number first: as many as it takes to connect all that are of one.

    Args:
        prints: From `read_prints`.
        numbers: Those that are looked at, ascending: of photos of the same bytes one.
    """
    import numpy as np

    if len(numbers) < 2:
        return []
    count, groups, found = len(numbers), Groups(len(numbers)), list[tuple[int, int]]()
    waiting = candidates(np.concatenate([prints["hash"][numbers], prints["mirrored"][numbers]]))

    def compared(pairs: Array) -> Array:
        return pairs[differences(prints, numbers, pairs) <= DIFFERENT]

    workers = cores()
    with ThreadPoolExecutor(workers) as pool:
        while len(waiting):
            now, waiting = waiting[: BATCH * workers], waiting[BATCH * workers :]
            for pairs in pool.map(compared, np.array_split(now, min(workers, len(now)))):
                for first, second in pairs % count:
                    if groups.join(int(first), int(second)):
                        low, high = sorted((int(numbers[first]), int(numbers[second])))
                        found.append((low, high))
            if len(waiting):  # of a hundred photos in a row, as a film has them, not every pair has to be looked at
                leaders = np.fromiter(map(groups.lead, range(count)), np.int64, count)
                waiting = waiting[leaders[waiting[:, 0]] != leaders[waiting[:, 1] % count]]
    return sorted(found)


def differences(prints: Array, numbers: Array, pairs: Array) -> Array:
    """The `difference` of each pair of `numbers`, as `candidates` gives them."""
    import numpy as np

    first, second = pairs.T
    other = prints["pixels"][numbers[second % len(numbers)]]
    mirrored = (second >= len(numbers))[:, None, None, None]
    return difference(prints["pixels"][numbers[first]], np.where(mirrored, other[:, :, ::-1], other))


def candidates(hashes: Array) -> Array:
    """Pairs of numbers (pairs, 2), the nearest first: of a photo itself, and of a photo or of a mirror image.

    Args:
        hashes: uint64 (2 × photos, 2): of all photos, then of their mirror images.
    """
    import numpy as np

    entries = len(hashes)
    count = entries // 2
    drawn = np.random.default_rng(0)
    bits = np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8).reshape(entries, -1), axis=1)
    width = max(8, round(np.log2(count)))  # so that few photos agree by chance
    found = np.empty(0, np.int64)
    for _ in range(TABLES):
        keys = bits[:, drawn.choice(BITS, width, replace=False)] @ (1 << np.arange(width))
        order = drawn.permutation(entries)
        order = order[np.argsort(keys[order], kind="stable")]
        keys, new = keys[order], [found]
        for step in range(1, NEIGHBOURS):
            agree = np.flatnonzero(keys[step:] == keys[:-step])
            if not len(agree):
                break
            one, other = order[agree], order[agree + step]
            one, other = np.minimum(one, other), np.maximum(one, other)
            chosen = (one < count) & (other - one != count)
            one, other = one[chosen], other[chosen]
            chosen = _apart(hashes, one, other) <= APART
            new.append(one[chosen] * entries + other[chosen])
        ranked = np.sort(np.concatenate(new))
        found = ranked[np.diff(ranked, prepend=-1) > 0]  # np.unique takes seconds for what has many repetitions
    one, other = found // entries, found % entries
    order = np.lexsort((_apart(hashes, one, other), one))
    one, other = one[order], other[order]
    place = np.arange(len(one)) - np.searchsorted(one, one)  # how many candidates of the same photo are nearer
    order = np.argsort(_apart(hashes, one, other), kind="stable")
    pairs = np.stack([one[order], other[order]], axis=1)
    return pairs[place[order] < NEAREST]


def _apart(hashes: Array, one: Array, other: Array) -> Array:
    """In how many bits they differ."""
    import numpy as np

    found: Array = np.bitwise_count(hashes[one] ^ hashes[other]).sum(axis=1)
    return found


def difference(one: Array, other: Array) -> Array:
    """How far pictures are from showing the same, one laid over the other as well as it goes: float (pairs,).

    It is the root mean square of what is left, in the one of 16 parts where that is most, in spreads of the picture:
    two white plates are alike but for what lies on them. Pictures that show next to nothing, or the same in another
    colour, are infinitely far.

    Args:
        one: uint8 (pairs, side, side, 3).
        other: The same.
    """
    import numpy as np

    first, second = one.astype(np.float32), other.astype(np.float32)
    moved, inside = _lay(first, _fit(first.mean(axis=3, keepdims=True), second.mean(axis=3, keepdims=True)))
    weight = inside[..., None].astype(np.float32)
    pixels = weight.sum(axis=(1, 2), keepdims=True)

    def mean(picture: Array) -> Array:
        found: Array = (picture * weight).sum(axis=(1, 2), keepdims=True) / pixels
        return found

    means = mean(moved), mean(second)
    first, second = (moved - means[0]) * weight, (second - means[1]) * weight
    whole = (1, 2, 3)
    gain = (first * second).sum(axis=whole) / np.maximum((first**2).sum(axis=whole), 1)
    left = second - first * gain[:, None, None, None]
    parts = (len(one), 4, SIDE // 4, 4, SIDE // 4, -1)
    weights = np.broadcast_to(weight, left.shape).reshape(parts).sum(axis=(2, 4, 5))
    worst = np.sqrt((left**2).reshape(parts).sum(axis=(2, 4, 5)) / np.maximum(weights, 1)).max(axis=(1, 2))
    spread, other = (np.sqrt((picture**2).sum(axis=whole) / (3 * pixels[:, 0, 0, 0])) for picture in (second, first))
    brighter = (means[1] - means[0] * gain[:, None, None, None])[:, 0, 0]
    tinted = np.abs(brighter - brighter.mean(axis=1, keepdims=True)).max(axis=1)
    comparable = (np.minimum(spread, other) >= FAINT) & (tinted <= TINTED)
    found: Array = np.where(comparable, worst / np.maximum(spread, FAINT), np.inf)
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


class Groups:
    """Numbers that pairs connect."""

    def __init__(self, count: int) -> None:
        """Each number below `count` alone."""
        self._leader = list(range(count))

    def lead(self, number: int) -> int:
        """The smallest number that it is connected with."""
        leader = self._leader
        while leader[number] != number:
            leader[number] = leader[leader[number]]
            number = leader[number]
        return number

    def join(self, one: int, other: int) -> bool:
        """Connect two; whether they were not yet."""
        low, high = sorted((self.lead(one), self.lead(other)))
        self._leader[high] = low
        return low != high

    def several(self) -> list[list[int]]:
        """The groups of more than one, in order."""
        found: dict[int, list[int]] = {}
        for number in range(len(self._leader)):
            found.setdefault(self.lead(number), []).append(number)
        return [group for group in found.values() if len(group) > 1]
