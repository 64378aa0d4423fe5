import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageFile

from switchpoint.data import photos as images

ORANGE = (230, 120, 40)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def orange(mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", (24, 16), ORANGE).convert(mode)


def left_half(colour: tuple[int, ...], rest: tuple[int, ...], mode: str) -> Image.Image:
    image = Image.new(mode, (24, 16), rest)
    image.paste(colour, (0, 0, 12, 16))
    return image


_KINDS = "jpeg cmyk progressive mpo png palette webp bmp tiff-cmyk gif animated-webp gray bilevel gray-alpha"
_KINDS += " clear half-clear transparent-level gray16 tiff16 rgb16 pgm16"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (saved(orange(), "JPEG", quality=95), ORANGE),
        (saved(orange("CMYK"), "JPEG", quality=95), ORANGE),
        (saved(orange(), "JPEG", quality=95, progressive=True), ORANGE),
        (saved(orange(), "MPO", quality=95, save_all=True, append_images=[Image.new("RGB", (24, 16))]), ORANGE),
        (saved(orange(), "PNG"), ORANGE),
        (saved(orange().quantize(4), "PNG"), ORANGE),
        (saved(orange(), "WEBP", lossless=True), ORANGE),
        (saved(orange(), "BMP"), ORANGE),
        (saved(orange("CMYK"), "TIFF"), ORANGE),
        (saved(orange(), "GIF", save_all=True, append_images=[Image.new("RGB", (24, 16), "blue")]), ORANGE),
        (saved(orange(), "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", (24, 16))]), ORANGE),
        (saved(Image.new("L", (24, 16), 90), "PNG"), (90, 90, 90)),
        (saved(Image.new("1", (24, 16), 1), "PNG"), (255, 255, 255)),
        (saved(Image.new("LA", (24, 16), (0, 128)), "PNG"), (127, 127, 127)),
        (saved(Image.new("RGBA", (24, 16), (255, 0, 0, 0)), "PNG"), (255, 255, 255)),
        (saved(Image.new("RGBA", (24, 16), (200, 0, 0, 128)), "WEBP", lossless=True), (227, 127, 127)),
        (saved(Image.new("L", (24, 16), 7), "PNG", transparency=7), (255, 255, 255)),
        (saved(Image.fromarray(np.full((16, 24), 128 * 257, np.uint16)), "PNG"), (128, 128, 128)),
        (saved(Image.fromarray(np.full((16, 24), 65535, np.uint16)), "TIFF"), (255, 255, 255)),
        (b"P6 2 1 65535 " + bytes.fromhex("ffff80800000" * 2), (255, 128, 0)),
        (b"P5 2 1 65535 " + bytes.fromhex("4040" * 2), (64, 64, 64)),
    ],
    ids=_KINDS.split(),
)
def test_every_kind_becomes_the_rgb_that_a_person_sees(data: bytes, expected: tuple[int, int, int]) -> None:
    image = images.decode(data)
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image), np.broadcast_to(expected, (image.height, image.width, 3)), atol=4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_photo_upright(orientation: int) -> None:
    upright = Image.new("RGB", (24, 16), "white")
    upright.paste((200, 30, 30), (0, 0, 8, 8))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    image = images.decode(saved(stored, "PNG", exif=exif))
    assert image.size == (24, 16)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(upright))


@pytest.mark.parametrize("orientation", [1, 6])
def test_heic_is_read_upright(orientation: int) -> None:
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = orientation
    left = left_half(ORANGE, (255, 255, 255), "RGB").resize((96, 64))
    found = images.decode(saved(left, "HEIF", quality=95, exif=exif.tobytes()))
    assert found.size == ((96, 64) if orientation == 1 else (64, 96))
    corner = found.getpixel((4, 4))  # turned by a quarter to the right, left is above
    assert all(abs(is_ - was) < 12 for is_, was in zip(corner, ORANGE, strict=True))
    with pytest.raises(images.UnreadablePhotoError):
        images.decode(saved(left, "HEIF")[:300])


def tiff(bits: int, photometric: int, strip: bytes) -> bytes:
    """24×16 levels of one colour; Pillow writes no 12 bits and no white that is zero."""
    entries = [(256, 24), (257, 16), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, 16)]
    entries.append((279, len(strip)))
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    head = struct.pack("<2sHI", b"II", 42, 8 + len(strip))
    return head + strip + struct.pack("<H", len(entries)) + directory + bytes(4)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (tiff(12, 1, bytes.fromhex("ffffff") * 192), 255),
        (tiff(12, 1, bytes.fromhex("800800") * 192), 128),
        (tiff(16, 1, struct.pack("<H", 64 * 257) * 384), 64),
        (tiff(16, 0, struct.pack("<H", 64 * 257) * 384), 191),
        (tiff(8, 0, bytes([64]) * 384), 191),
    ],
    ids=["white-of-12-bits", "grey-of-12-bits", "16-bits", "white-is-zero", "white-is-zero-of-8-bits"],
)
def test_a_tiffs_levels_are_scaled_by_what_the_file_says(data: bytes, expected: int) -> None:
    np.testing.assert_allclose(np.asarray(images.decode(data)), expected, atol=1)


def test_levels_of_16_bits_keep_their_order() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    decoded = np.asarray(images.decode(saved(Image.fromarray(ramp), "PNG")))[0, :, 0]
    np.testing.assert_allclose(decoded, np.arange(256), atol=1)


PHOTO = saved(Image.effect_noise((64, 64), 90).convert("RGB"), "JPEG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"no photo at all", "not an image"),
        (b"<html><body>404</body></html>", "not an image"),
        (PHOTO[: len(PHOTO) // 2], "truncated"),
        (PHOTO[:30], "(?i)not an image|truncated"),
        (saved(orange(), "PNG")[:60], "truncated|broken|not an image"),
        (saved(orange(), "EPS"), "not an image"),
        (saved(Image.new("F", (4, 4), 0.5), "TIFF"), "floating-point pixels have no agreed range; save it with 8 or"),
        (saved(Image.new("I", (4, 4), 255), "TIFF"), "32-bit or signed pixels have no agreed range; save it with 8 or"),
    ],
    ids=["empty", "text", "html", "half", "head", "half-png", "postscript", "float", "tiff32"],
)
def test_what_is_no_photo_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(images.UnreadablePhotoError, match=reason) as first:
        images.decode(data)
    with pytest.raises(images.UnreadablePhotoError) as second:
        images.decode(data)
    assert str(first.value) == str(second.value)


@pytest.mark.parametrize(("format", "counted"), [("JPEG", 384), ("PNG", 384), ("GIF", 384), ("WEBP", 768)])
def test_a_webp_counts_twice_for_it_takes_twice_the_memory(format: str, counted: int) -> None:
    asked: list[int] = []
    images.decode(saved(orange(), format), asked.append)
    assert asked == [counted]


def test_a_program_that_takes_images_of_any_size_reads_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert images.decode(PHOTO).size == (64, 64)
    monkeypatch.setattr(images, "MAX_PIXELS", 64 * 64 - 1)
    with pytest.raises(images.UnreadablePhotoError, match="64×64 pixels are too many"):
        images.decode(PHOTO)


@pytest.mark.parametrize("side", [9_600, 20_000], ids=["above", "far-above"])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_not_decoded(side: int) -> None:
    data = bytearray(saved(Image.new("1", (8, 8)), "PNG"))
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(images.UnreadablePhotoError, match="pixels"):
        images.decode(bytes(data))


@pytest.mark.parametrize(
    ("before", "after"),
    [((384, 512), (300, 260)), ((512, 384), (129, 111)), ((64, 64), (86, 74)), ((1, 1), (5, 7)), ((300, 260),) * 2],
)
def test_resize_is_tensorflows(before: tuple[int, int], after: tuple[int, int]) -> None:
    import tensorflow as tf

    pixels = np.random.default_rng(0).integers(0, 256, (*before, 3), dtype=np.uint8)
    ours = np.asarray(images.resize(Image.fromarray(pixels), *after)).astype(float)
    theirs = tf.image.resize(pixels, after).numpy()
    assert ours.shape == (*after, 3)
    assert np.abs(ours - theirs).max() <= 0.51
    assert abs((ours - theirs).mean()) < 0.01


def test_records_keep_the_labs_proportion() -> None:
    assert images.record_size(224) == (300, 260)
    assert images.record_size(96) == (129, 111)
    assert all(min(images.record_size(size)) >= size for size in range(1, 600))


def test_a_record_keeps_the_colours() -> None:
    pixels = np.asarray(Image.effect_noise((60, 60), 60).convert("RGB"))
    data = images.encode(Image.fromarray(pixels))
    assert np.abs(np.asarray(images.decode(data)).astype(int) - pixels).mean() < 3
    assert images.encode(Image.fromarray(pixels)) == data


def test_noise_is_encoded_too_though_its_jpeg_is_longer_than_pillow_reckons() -> None:
    pixels = np.random.default_rng(0).integers(0, 2, (300, 260, 3), dtype=np.uint8) * 255
    data = images.encode(Image.fromarray(pixels))
    assert len(data) > 2 * 300 * 260
    assert images.decode(data).size == (260, 300)


def test_the_longest_jpeg_that_a_record_can_need_is_encoded() -> None:
    pixels = np.random.default_rng(0).integers(0, 2, (*images.record_size(1024), 3), dtype=np.uint8) * 255
    assert images.decode(images.encode(Image.fromarray(pixels))).size == images.record_size(1024)[::-1]


def test_what_cannot_be_encoded_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("encoder error -2 when writing image file")

    block = ImageFile.MAXBLOCK
    monkeypatch.setattr(Image.Image, "save", broken)
    with pytest.raises(images.UnreadablePhotoError, match="can't be written as a JPEG: encoder error -2"):
        images.encode(orange())
    assert block == ImageFile.MAXBLOCK


def test_want_of_memory_is_no_fault_of_the_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "new", full)
    with pytest.raises(MemoryError):
        images.decode(saved(Image.new("RGBA", (4, 4)), "PNG"))


@pytest.mark.food101
def test_records_are_smaller_than_the_photos_and_look_the_same_to_a_network(food101_mini: Path) -> None:
    import tensorflow as tf

    from switchpoint.training.backbones.build import build

    network = build("efficientnet_lite0", "imagenet", 224)

    def features(photos: list[Any]) -> np.ndarray:
        crops = np.stack([np.asarray(photo)[38:262, 18:242] for photo in photos]).astype(np.float32)
        return network.predict(crops, verbose=0).mean(axis=(1, 2))

    originals = [path.read_bytes() for path in sorted((food101_mini / "images").glob("*/*.jpg"))[::30]]
    records = [images.encode(images.resize(images.decode(data), 300, 260)) for data in originals]
    assert sum(map(len, records)) <= 0.72 * sum(map(len, originals))
    ours = features([tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE") for data in records])
    labs = features([tf.image.resize(tf.io.decode_jpeg(data, channels=3), (300, 260)) for data in originals])
    cosines = (ours * labs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(labs, axis=1)
    assert cosines.mean() >= 0.985
