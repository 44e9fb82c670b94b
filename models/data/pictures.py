"""One place that opens a picture: formats, which way up, what is white, how large."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ...toolchain.errors import DataError
from .files import require_file, unreadable

ImageArray = npt.NDArray[np.float32]
Size = tuple[int, int, int]
"""(height, width, channels) of a picture; 1 channel is grey, 3 are RGB."""

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "PPM", "WEBP")  # none runs a program
LARGEST = 2**26  # pixels of a picture, whatever its file's size
TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height


def check_size(size: Size) -> None:
    """Raise DataError for a size that pictures cannot be resized to."""
    if size[2] not in (1, 3) or min(size) < 1:
        raise DataError(
            f"picture size {size}: (height, width, channels) with 1 channel (grey) or "
            "3 (RGB) is allowed"
        )


def read_picture(path: Path, size: Size) -> ImageArray:
    """A picture as it is shown, resized, (height, width, channels), 0 … 1.

    It is turned as its EXIF orientation says. Black is 0 and white 1, whether of 8 or
    16 bits; floats must be 0 … 1 already. Transparency is left out, colours become
    grey where 1 channel is asked for (ITU-R 601-2 luma), and grey becomes RGB.

    Raises:
        DataError: ``size`` is none, or the file no picture that can be read so.
    """
    check_size(size)
    return resize(open_picture(path), size, str(path))


def resize(picture: Image.Image, size: Size, origin: str) -> ImageArray:
    """A decoded picture at another size, as ``read_picture`` gives it; bilinear.

    Raises:
        DataError: which of its numbers is white is unknown; it begins with ``origin``.
    """
    height, width, channels = size
    if picture.mode == "F" or picture.mode.startswith("I"):
        grey = Image.fromarray(_levels(picture, origin))
        if grey.size != (width, height):
            grey = grey.resize((width, height), Image.Resampling.BILINEAR)
        return np.repeat(np.asarray(grey, np.float32)[..., None], channels, axis=2)
    picture = picture.convert("RGB").convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.float32).reshape(size) / 255


def _levels(picture: Image.Image, origin: str) -> ImageArray:
    """Grey of more than 8 bits, (height, width), 0 … 1."""
    pixels = np.asarray(picture, np.float32)
    if picture.mode == "F":
        low, high = pixels.min(), pixels.max()
        if not (0 <= low and high <= 1):  # nor where one is NaN
            raise DataError(
                f"{origin}: its pixels are floats from {low:g} to {high:g}; 0 … 1 is "
                "allowed; scale them, or save it with 8 or 16 bits"
            )
        return pixels
    if picture.mode == "I" and picture.format not in ("PNG", "PPM"):  # they have 16
        raise DataError(
            f"{origin}: its pixels are signed or of 32 bits, so which of them is white "
            "is unknown; save it with 8 or 16 bits"
        )
    bits, *_ = getattr(picture, "tag_v2", {}).get(258, (16,))  # TIFF's BitsPerSample
    return pixels / np.float32(2**bits - 1)


def open_picture(path: Path) -> Image.Image:
    """The one picture in a file, decoded, the right way up, in the file's own mode.

    Raises:
        DataError: the file is missing or cannot be read, is of a format not in
            ``FORMATS``, damaged, of several pages, or of more than ``LARGEST`` pixels.
    """
    with _opened(path) as picture:
        ImageOps.exif_transpose(picture, in_place=True)  # decodes it
        return picture


def shown_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture as it is shown, in pixels, from its header.

    Raises:
        DataError: as ``open_picture``, as far as the header tells.
    """
    with _opened(path) as picture:
        turned = picture.getexif().get(ExifTags.Base.Orientation) in TURNED
        if turned and picture.format != "TIFF":  # which Pillow has turned already
            return picture.height, picture.width
        return picture.size


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture whose header is sound; whatever goes wrong with it is a DataError."""
    require_file(path, "the picture is missing; add it")
    try:
        with warnings.catch_warnings():  # of Pillow, of odd metadata
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as picture:
                _check_header(picture, path)
                yield picture
    except DataError:
        raise
    except PermissionError as error:
        raise DataError(unreadable(path, error)) from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path}: it is no readable picture; {', '.join(FORMATS)} are read; "
            "repair, convert or remove it"
        ) from error
    except Image.DecompressionBombError as error:
        raise DataError(_too_large(path)) from error
    except Exception as error:  # Pillow raises whatever its parsers trip over
        raise DataError(
            f"{path}: a broken or truncated picture ({error}); repair or remove it"
        ) from error


def _check_header(picture: Image.Image, path: Path) -> None:
    if picture.width * picture.height > LARGEST:
        raise DataError(_too_large(path))
    if getattr(picture, "is_animated", False) and picture.format != "MPO":
        raise DataError(
            f"{path}: it holds several pages or frames; save each as a picture of its "
            "own"
        )


def _too_large(path: Path) -> str:
    return f"{path}: it has more than {LARGEST} pixels, which are allowed; shrink it"
