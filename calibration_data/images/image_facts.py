"""What an image file holds: its size, and what decoding drops or turns."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .decode import DECODE_ERRORS, FORMATS, undecodable

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112  # the EXIF tag; 1 is upright
_OPAQUE = 255


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
    from PIL.Image import DecompressionBombError
    from PIL.Image import open as open_image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_image(path, formats=FORMATS) as image:
                return ImageFacts(
                    (image.height, image.width),
                    _has_alpha(image),
                    _highest(image),
                    image.getexif().get(_ORIENTATION, 1) != 1,
                )
    except (*DECODE_ERRORS, DecompressionBombError) as error:
        raise undecodable(path, error) from error


def _has_alpha(image: Image) -> bool:
    if "A" not in image.getbands() and "transparency" not in image.info:
        return False
    alpha = np.asarray(image.convert("RGBA"))[:, :, 3]
    return bool((alpha < _OPAQUE).any())


def _highest(image: Image) -> int | None:
    return int(np.asarray(image).max()) if image.mode.startswith("I") else None
