"""Read an image file that nobody has checked yet: its pixels, its size, what it holds."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import SamplesError
from .geometry import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

# What Pillow may decode, by the name it gives the format. Everything else stays closed.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
# 64 megapixels are 192 MB as RGB: above any camera a board carries, below any memory limit.
MAX_PIXELS = 64_000_000
# A file holds at most a few bytes a pixel; a larger one is something else under an image's name.
MAX_FILE_BYTES = 512 * 2**20
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)  # the EXIF tag; 1 is upright
_OPAQUE = 255
# what is wrong with a file, and what to do
_UNDECODABLE = "the image cannot be decoded", "replace the file, or leave it out of the set"
_UNREADABLE = "the image cannot be read", "replace it, or leave it out"
_UNREADABLE_MASK = "the mask cannot be read", "save it again"

# What Pillow's decoders are known to raise on damaged files, and NumPy on damaged arrays.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)


def decode_image(path: Path) -> Pixels:
    """Read one image as uint8 (H, W, 3) RGB, or (H, W, 1) for a gray file.

    The EXIF orientation is applied. Alpha is dropped, not blended, as ``cv2.imread`` does. Of 16
    bits the upper 8 are kept. Only the first picture of a file with several is read. Raises
    SamplesError, which names the file, when it is missing, too large, corrupt or no image.
    """
    _check_file(path)
    with _opened(path, bomb="more than 170 megapixels") as image:
        from PIL import ImageOps

        _check_pixels(image, path)
        return _as_uint8(ImageOps.exif_transpose(image), path)


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width of an image file after its EXIF orientation, without decoding it.

    Raises SamplesError as ``decode_image`` does.
    """
    _check_file(path)
    with _opened(path, _UNREADABLE) as image:
        turned = _orientation(image) in _TURNED
        return (image.width, image.height) if turned else (image.height, image.width)


def read_mask(path: Path) -> NDArray[np.int64]:
    """Read a mask (H, W) of class indices: the palette's indices, or the gray values of a PNG file.

    Raises SamplesError for a file with several channels, which holds colours, not classes.
    """
    _check_file(path)
    with _opened(path, _UNREADABLE_MASK, ("PNG", "TIFF", "BMP")) as image:
        _check_pixels(image, path)
        values = np.asarray(image)
    if values.ndim != 2:
        raise SamplesError(
            f"{path}: a mask of {values.shape[2]} channels holds colours, not classes",
            "save one channel: the class index of every pixel, or a palette",
        )
    return values.astype(np.int64)


@dataclass(frozen=True)
class ImageFacts:
    """Height and width as stored; alpha counts only where some pixel is not opaque.

    ``highest`` is the largest value of a 16-bit image, None for any other.
    """

    size: tuple[int, int]
    has_alpha: bool = False
    highest: int | None = None
    is_turned: bool = False


def image_facts(path: Path) -> ImageFacts:
    """Read the header, and the pixels only of images with alpha or 16 bits.

    Raises SamplesError when the file is no image.
    """
    with _opened(path) as image:
        highest = int(np.asarray(image).max()) if image.mode.startswith("I") else None
        size = image.height, image.width
        return ImageFacts(size, _has_alpha(image), highest, _orientation(image) != 1)


@contextmanager
def _opened(
    path: Path,
    fault: tuple[str, str] = _UNDECODABLE,
    formats: tuple[str, ...] = FORMATS,
    bomb: str = "",
) -> Iterator[Image]:
    """Open an image file. Raises SamplesError with ``fault``, or ``bomb`` for far too many pixels.

    So it does for what the block under it finds wrong when it decodes.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow warns of large or unusual files on stderr; the limits here are our own
            warnings.simplefilter("ignore")
            with Image.open(path, formats=formats) as image:
                yield image
    except (Image.DecompressionBombError, *DECODE_ERRORS) as error:
        if bomb and isinstance(error, Image.DecompressionBombError):
            raise _too_large(path, bomb) from error
        text, hint = fault
        raise SamplesError(f"{path}: {text}: {_reason(error)}", hint) from error


def _check_pixels(image: Image, path: Path) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(path, f"{image.width}x{image.height} pixels")


def _orientation(image: Image) -> object:
    return image.getexif().get(_ORIENTATION, 1)


def _has_alpha(image: Image) -> bool:
    if "A" not in image.getbands() and "transparency" not in image.info:
        return False
    alpha = np.asarray(image.convert("RGBA"))[:, :, 3]
    return bool((alpha < _OPAQUE).any())


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size if path.is_file() else -1
    except OSError as error:
        raise SamplesError(f"{path}: {error.strerror}", "check the path") from error
    if size < 0:
        raise SamplesError(f"{path}: there is no such image file", "check the path")
    if size > MAX_FILE_BYTES:
        raise _too_large(path, f"a file of {size / 2**20:.0f} MB")


def _as_uint8(image: Image, path: Path) -> Pixels:
    if image.mode == "F":
        raise SamplesError(
            f"{path}: the image holds floating-point pixels", "give float data as .npy or .npz"
        )
    if image.mode.startswith("I"):
        return _upper_byte(np.asarray(image), path)
    gray = image.mode in ("1", "L", "LA", "La")
    pixels = np.asarray(image.convert("L" if gray else "RGB"), dtype=np.uint8)
    return pixels[:, :, np.newaxis] if gray else pixels


def _upper_byte(values: NDArray[np.integer[Any]], path: Path) -> Pixels:
    """Return uint8 (H, W, 1) of gray (H, W) in 16 bits."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise SamplesError(
            f"{path}: the pixels range from {low} to {high}, which is more than 16 bits",
            "convert the image to 8 or 16 bits a channel",
        )
    return (values >> 8).astype(np.uint8)[:, :, np.newaxis]


def _too_large(path: Path, size: str) -> SamplesError:
    limits = f"{MAX_PIXELS // 10**6} megapixels and {MAX_FILE_BYTES // 2**20} MB"
    return SamplesError(f"{path}: {size} is too large an image", f"the limits are {limits}")


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return "it is none of the known formats" if "cannot identify" in text else text[:200]
