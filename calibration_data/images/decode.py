"""Decode an image file that nobody has checked yet."""

from __future__ import annotations

import struct
import warnings
import zlib
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
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)

# What Pillow's decoders are known to raise on damaged files.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    IndexError,
    KeyError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    NotImplementedError,
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
    from PIL.Image import DecompressionBombError

    _check_file(path)
    try:
        with warnings.catch_warnings():
            # Pillow warns of large or unusual files on stderr; the limits here are our own
            warnings.simplefilter("ignore")
            return _decode(path)
    except DecompressionBombError as error:
        raise _too_large(path, "more than 170 megapixels") from error
    except DECODE_ERRORS as error:
        raise undecodable(path, error) from error


def undecodable(path: Path, error: BaseException) -> SamplesError:
    """Return what to raise for one of DECODE_ERRORS."""
    return SamplesError(
        f"{path}: the image cannot be decoded: {_reason(error)}",
        "replace the file, or leave it out of the set",
    )


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width of an image file after its EXIF orientation, without decoding it.

    Raises SamplesError as ``decode_image`` does.
    """
    from PIL import Image
    from PIL.Image import DecompressionBombError

    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:
                turned = image.getexif().get(_ORIENTATION, 1) in _TURNED
                return (image.width, image.height) if turned else (image.height, image.width)
    except (DecompressionBombError, *DECODE_ERRORS) as error:
        raise SamplesError(
            f"{path}: the image cannot be read: {_reason(error)}", "replace it, or leave it out"
        ) from error


def read_mask(path: Path) -> NDArray[np.int64]:
    """Read a mask (H, W) of class indices: the palette's indices, or the gray values of a PNG file.

    Raises SamplesError for a file with several channels, which holds colours, not classes.
    """
    from PIL import Image
    from PIL.Image import DecompressionBombError

    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=("PNG", "TIFF", "BMP")) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _too_large(path, f"{image.width}x{image.height} pixels")
                values = np.asarray(image)
    except (DecompressionBombError, *DECODE_ERRORS) as error:
        raise SamplesError(
            f"{path}: the mask cannot be read: {_reason(error)}", "save it again"
        ) from error
    if values.ndim != 2:
        raise SamplesError(
            f"{path}: a mask of {values.shape[2]} channels holds colours, not classes",
            "save one channel: the class index of every pixel, or a palette",
        )
    return values.astype(np.int64)


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size if path.is_file() else -1
    except OSError as error:
        raise SamplesError(f"{path}: {error.strerror}", "check the path") from error
    if size < 0:
        raise SamplesError(f"{path}: there is no such image file", "check the path")
    if size > MAX_FILE_BYTES:
        raise _too_large(path, f"a file of {size / 2**20:.0f} MB")


def _decode(path: Path) -> Pixels:
    from PIL import Image, ImageOps

    with Image.open(path, formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_large(path, f"{image.width}x{image.height} pixels")
        upright = ImageOps.exif_transpose(image)
        return _as_uint8(upright, path)


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
