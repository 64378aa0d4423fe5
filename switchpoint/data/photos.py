"""Photos as users have them, in; RGB at the size that training crops from, out."""

import io
from typing import TYPE_CHECKING, Any

from switchpoint.errors import SwitchpointError

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

# No others: Pillow also knows formats that start programs (EPS starts Ghostscript), and a dataset is not trusted.
PILLOWS: tuple[str, ...] = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
FORMATS = (*PILLOWS, "HEIF")
MAX_PIXELS = 89_478_485  # Pillow's default, which the program that reads photos may have changed


class UnreadablePhotoError(SwitchpointError):
    """The bytes can't be made a record's image; the message is the reason, and the same for the same bytes."""


def decode(data: bytes, before: "Callable[[int], object]" = int) -> "Image":
    """Decode a photo the way a person would see it.

    Args:
        data: A whole file in one of `FORMATS`.
        before: Called with the number of pixels, which the header says, before they are decoded: each takes about 9
            bytes of memory from here to the end of `resize`. A WebP's count twice: its decoder holds two frames more.

    Returns:
        The first frame, upright (EXIF), mode RGB: transparency on white, 16 bits scaled to 8.

    Raises:
        UnreadablePhotoError: Empty, truncated, not an image, of no agreed range, or too large once decoded.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not data:
        raise UnreadablePhotoError("empty file")
    formats = PILLOWS
    if data[4:8] == b"ftyp":  # HEIC's beginning, and AVIF's
        import pillow_heif

        pillow_heif.register_heif_opener()
        formats = FORMATS
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            pixels = image.width * image.height
            if pixels > MAX_PIXELS:
                raise Image.DecompressionBombError(f"{image.width}×{image.height} pixels are too many")
            before(2 * pixels if image.format == "WEBP" else pixels)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)  # a copy of a large photo is a lot of memory
            return _rgb(image)
    except UnidentifiedImageError:  # its message holds a memory address
        raise UnreadablePhotoError(f"not an image ({', '.join(FORMATS)})") from None
    except MemoryError:  # nothing that is wrong with the photo
        raise
    except Exception as error:  # Pillow's decoders raise almost anything on broken bytes
        raise UnreadablePhotoError(str(error) or type(error).__name__) from error


def _rgb(image: "ImageFile") -> "Image":
    if image.mode == "F":
        raise UnreadablePhotoError("floating-point pixels have no agreed range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # convert() would clip at 255
        scale, offset = _range(image)
        return image.convert("F").point(lambda level: level * scale + offset).convert("L").convert("RGB")
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _range(image: "ImageFile") -> tuple[float, float]:
    """How levels of more than 8 bits become 0 to 255, rounded: the factor, and what is added."""
    if image.format != "TIFF":
        return 255 / 65535, 0.5  # PNG has 16 bits, and Pillow scales PGM to them
    bits, white_is_zero = image.tag_v2[258][0], image.tag_v2[262] == 0  # type: ignore[attr-defined]
    if image.mode == "I":
        raise UnreadablePhotoError(f"{bits}-bit or signed pixels have no agreed range; save it with 8 or 16 bits")
    scale = 255 / (2**bits - 1)  # scanners write 12
    return (-scale, 255.5) if white_is_zero else (scale, 0.5)


def _on_white(image: "Image") -> "Image":
    """The image on white, a strip at a time: of a large photo the whole would be there four times."""
    from PIL import Image

    opaque = Image.new("RGB", image.size)
    for top in range(0, image.height, 256):
        strip = image.crop((0, top, image.width, min(top + 256, image.height))).convert("RGBA")
        white = Image.new("RGBA", strip.size, "white")
        opaque.paste(Image.alpha_composite(white, strip).convert("RGB"), (0, top))
    return opaque


def resize(image: "Image", height: int, width: int) -> "Image":
    """Resize an RGB image exactly as `tf.image.resize` does by default: bilinear, half-pixel centres, no antialias.

    In float and rounded at the end: Pillow's own bilinear transform of uint8 truncates, which darkens every photo by
    half a level.
    """
    from PIL import Image

    matrix = (image.width / width, 0, 0, 0, image.height / height, 0)
    bands: list[Any] = [
        band.convert("F")
        .transform((width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        .point(lambda level: level * 1 + 0.5)
        .convert("L")
        for band in map(image.getchannel, "RGB")  # one after the other: as floats a band is as large as the photo
    ]
    return Image.merge("RGB", bands)


def record_size(image_size: int) -> tuple[int, int]:
    """Height and width that records hold for crops of `image_size`: the lab's 300×260 for 224, in proportion."""
    return max(image_size, round(image_size * 300 / 224)), max(image_size, round(image_size * 260 / 224))


def quality(split: str) -> int:
    """Of a record's JPEG, for a photo of that split.

    Training on quality 92 costs nothing that ten seeds show; to be tested on it costs a model 0.02 nats and most of a
    point of accuracy, which it does not lose on the photos themselves. At 97 it is a third of that: docs/records.md.
    """
    return 97 if split == "test" else 92


def encode(image: "Image", quality: int = 92) -> bytes:
    """JPEG without chroma subsampling, to be decoded with dct_method="INTEGER_ACCURATE".

    On Food-101's photos quality 92 takes 0.66 of the original bytes, 95 takes 0.84 and 97 takes 1.06. Features have a
    cosine of .990 to those of the photo decoded and resized anew with 92, of .994 with 95.

    Raises:
        UnreadablePhotoError: Pillow can't write it; the message is the reason.
    """
    from PIL import ImageFile

    out = io.BytesIO()
    # `optimize` writes in one go, into a block that Pillow makes as long as width × height: too short for noise, which
    # takes two bytes a pixel and more. No JPEG takes 10: three coefficients of at most 27 bits. It is put back, for
    # decoders read by this length too, and say in their errors how much was left of it.
    block = ImageFile.MAXBLOCK
    ImageFile.MAXBLOCK = max(block, 10 * (image.width + 8) * (image.height + 8))
    try:
        image.save(out, "JPEG", quality=quality, subsampling=0, optimize=True)
    except MemoryError:
        raise
    except Exception as error:
        raise UnreadablePhotoError(f"can't be written as a JPEG: {error}") from error
    finally:
        ImageFile.MAXBLOCK = block
    return out.getvalue()
