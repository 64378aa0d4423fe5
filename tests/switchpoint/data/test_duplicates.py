"""Copies of a photo that a person would call the same are found, and other photos are not."""

import io
import random
import tempfile
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from switchpoint.data import duplicates
from switchpoint.data.duplicates import Groups, candidates, fingerprint, near, read_prints
from switchpoint.data.sources import dishes

Photo = Image.Image


def recompressed(photo: Photo, quality: int = 40) -> Photo:
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def cropped(photo: Photo) -> Photo:
    return photo.crop((0, 0, round(photo.width * 0.95), round(photo.height * 0.95)))


COPIES: dict[str, Callable[[Photo], Photo]] = {
    "recompressed": recompressed,
    "resized": lambda photo: photo.resize((photo.width // 2, photo.height // 2)),
    "cropped": cropped,
    "mirrored": ImageOps.mirror,
    "all of it": lambda photo: recompressed(ImageOps.mirror(cropped(photo)).resize((100, 90))),
}


def pairs(photos: Sequence[Photo]) -> list[tuple[int, int]]:
    with tempfile.TemporaryFile() as file:
        file.write(b"".join(map(fingerprint, photos)))
        return near(read_prints(file, len(photos)), np.arange(len(photos)))


@pytest.fixture(scope="module")
def drawn() -> list[Photo]:
    names = [f"{dish}/train-{number:03d}.jpg" for dish in dishes.DISHES for number in range(4)]
    return [Image.open(io.BytesIO(dishes.photograph(name))).convert("RGB") for name in names]


@pytest.mark.parametrize("copy", list(COPIES))
def test_a_copy_is_found_and_no_other_photo_is_taken_for_one(drawn: list[Photo], copy: str) -> None:
    found = pairs([*drawn, *map(COPIES[copy], drawn)])
    planted = {(number, number + len(drawn)) for number in range(len(drawn))}
    assert len(planted & set(found)) >= 0.9 * len(drawn)
    assert set(found) <= planted


def plate(seed: int) -> Photo:
    """White, on a dark table, with some food in the middle: what differs is little of the photo."""
    drawing = random.Random(seed)
    photo = Image.new("RGB", (256, 192), (90, 60, 40))
    brush = ImageDraw.Draw(photo)
    brush.ellipse((30, 10, 226, 182), fill=(240, 240, 238))
    brush.ellipse((55, 35, 201, 157), fill=(250, 250, 248))
    for _ in range(12):
        x, y, size = drawing.gauss(128, 18), drawing.gauss(96, 15), drawing.uniform(4, 15)
        colour = drawing.choice([(160, 80, 40), (60, 120, 40), (200, 60, 40), (220, 180, 90)])
        brush.ellipse((x - size, y - size, x + size, y + size), fill=colour)
    return photo.filter(ImageFilter.GaussianBlur(1))


def test_different_food_on_white_plates_is_not_the_same_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    plates = [plate(seed) for seed in range(12)]
    assert pairs(plates) == []
    assert pairs([*plates, recompressed(plates[3])]) == [(3, 12)]
    monkeypatch.setattr(duplicates, "DIFFERENT", 10.0)  # by their hashes alone they are
    assert len(pairs(plates)) == 11  # all of them are connected


def test_photos_without_anything_on_them_are_not_the_same() -> None:
    noise = np.random.default_rng(0)
    blank = [Image.fromarray(noise.integers(250, 256, (60, 80, 3), np.uint8)) for _ in range(6)]
    assert pairs(blank) == []
    assert pairs([]) == [] and pairs(blank[:1]) == []


def test_the_same_in_another_colour_is_not_the_same(drawn: list[Photo]) -> None:
    flat = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "#808080", "#818181")]
    assert pairs(flat) == []
    texture = np.random.default_rng(0).integers(0, 60, (8, 8, 1), np.uint8)

    def cup(*colour: int) -> Photo:
        return Image.fromarray((np.array(colour, np.uint8) + texture).astype(np.uint8)).resize((96, 96))

    assert pairs([cup(180, 20, 20), cup(20, 180, 20)]) == []
    assert pairs([cup(180, 20, 20), cup(190, 30, 25)]) == [(0, 1)]
    brighter = [ImageEnhance.Brightness(photo).enhance(1.15) for photo in drawn]
    assert len(pairs([*drawn, *brighter])) >= 0.9 * len(drawn)


def test_far_fewer_pairs_are_compared_than_there_are() -> None:
    photos = 20_000
    hashes = np.random.default_rng(1).integers(0, 2**64, (2 * photos, 2), np.uint64)
    hashes[7] = hashes[19_000] ^ np.uint64(0b1011)
    found = candidates(hashes)
    assert found[0].tolist() == [7, 19_000]
    assert len(found) < 100


def test_a_film_is_one_photo_and_takes_no_square_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, compared = 300, []
    prints = np.tile(np.frombuffer(fingerprint(plate(0)), duplicates.PRINT), frames)

    def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        compared.append(len(one))
        return np.zeros(len(one))

    monkeypatch.setattr(duplicates, "difference", difference)
    groups = Groups(frames)
    for pair in near(prints, np.arange(frames)):
        groups.join(*pair)
    assert groups.several() == [list(range(frames))]
    assert sum(compared) <= duplicates.NEAREST * frames


def test_photos_that_a_third_connects_are_one_group() -> None:
    groups = Groups(7)
    assert [groups.join(*pair) for pair in ((5, 2), (0, 1), (2, 6), (6, 5))] == [True, True, True, False]
    assert groups.several() == [[0, 1], [2, 5, 6]]
