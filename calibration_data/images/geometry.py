"""From an image of any size to the size of the model: stretch, letterbox, fit, crop.

All of it is ``cv2.resize`` with linear interpolation, which is what most programs on a board run.
Images are uint8 (H, W, C), sizes are (height, width) in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.diagnostics import option
from ...core.errors import SamplesError

Pixels = NDArray[np.uint8]
Size = tuple[int, int]

# A crop enlarges a very long and thin image before it cuts; 64 megapixels is 192 MB of RGB.
MAX_RESIZED_PIXELS = 64_000_000


def stretch(image: Pixels, size: Size, pad: Sequence[int]) -> Pixels:
    """Resize both axes to ``size``, whatever the ratio; ``pad`` is not used."""
    return resized(image, size)


def letterbox(image: Pixels, size: Size, pad: Sequence[int]) -> Pixels:
    """Keep the ratio, centre the image in ``size`` and fill the rest with ``pad`` (C values)."""
    inner = _letterbox_size((image.shape[0], image.shape[1]), size)
    corner = ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)
    return _placed(resized(image, inner), size, corner, pad)


def fit(image: Pixels, size: Size, pad: Sequence[int]) -> Pixels:
    """Fill the height keeping the ratio, squeeze if that is too wide, pad on the right."""
    height, width = image.shape[:2]
    inner = _fit_size((height, width), size)
    return _placed(resized(image, inner), size, (0, 0), pad)


def crop(image: Pixels, size: Size, pad: Sequence[int]) -> Pixels:
    """Keep the ratio so that the image covers ``size``, and cut the centre; no padding.

    For a square size this is "the shorter side to size, then the centre". Raises SamplesError
    when the image is so long and thin that the enlarged one would not fit into memory.
    """
    height, width = image.shape[:2]
    cover = _cover_size((height, width), size)
    if cover[0] * cover[1] > MAX_RESIZED_PIXELS:
        raise SamplesError(
            f"an image of {height}x{width} pixels is too long and thin to crop to "
            f"{size[0]}x{size[1]}",
            f"use {option('resize', 'letterbox')} or stretch, or leave the image out",
        )
    top, left = (cover[0] - size[0]) // 2, (cover[1] - size[1]) // 2
    cut = resized(image, cover)[top : top + size[0], left : left + size[1]]
    return np.ascontiguousarray(cut)


GEOMETRIES: Mapping[str, Callable[[Pixels, Size, Sequence[int]], Pixels]] = {
    "stretch": stretch,
    "letterbox": letterbox,
    "fit": fit,
    "crop": crop,
}


def resized(image: Pixels, size: Size) -> Pixels:
    """Apply ``cv2.resize`` with linear interpolation; the channel axis stays, also for gray."""
    import cv2

    if image.shape[:2] == size:
        return image
    result = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(result, dtype=np.uint8).reshape(*size, image.shape[2])


@dataclass(frozen=True)
class ImagePlacement:
    """Where an image lies in the model's input: pixel * scale + corner, each as (y, x).

    ``size`` (height, width) is that of the input.
    """

    scale: tuple[float, float]
    corner: tuple[float, float]
    size: Size

    def mask(self, mask: NDArray[Any], outside: int = 255) -> NDArray[Any]:
        """Return a mask (H, W) of the image as the input has it, the nearest value at each pixel.

        >>> placement("letterbox", (1, 2), (4, 4)).mask(np.array([[3, 5]])).tolist()
        [[255, 255, 255, 255], [3, 3, 5, 5], [3, 3, 5, 5], [255, 255, 255, 255]]
        """
        rows, columns = (
            np.floor((np.arange(length) + 0.5 - corner) / scale).astype(np.int64)
            for length, corner, scale in zip(self.size, self.corner, self.scale, strict=True)
        )
        result: NDArray[Any] = mask[np.clip(rows, 0, mask.shape[0] - 1)][
            :, np.clip(columns, 0, mask.shape[1] - 1)
        ]
        result[(rows < 0) | (rows >= mask.shape[0])] = outside
        result[:, (columns < 0) | (columns >= mask.shape[1])] = outside
        return result


def placement(resize: str, image: Size, size: Size) -> ImagePlacement:
    """Return where an image of a size lies after ``GEOMETRIES[resize]`` to the input's ``size``.

    >>> placement("letterbox", (100, 200), (64, 64)).corner
    (16, 0)
    """
    inner, corner = size, (0, 0)
    if resize == "letterbox":
        inner = _letterbox_size(image, size)
        corner = ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)
    elif resize == "fit":
        inner = _fit_size(image, size)
    elif resize == "crop":
        inner = _cover_size(image, size)
        corner = (-((inner[0] - size[0]) // 2), -((inner[1] - size[1]) // 2))
    return ImagePlacement((inner[0] / image[0], inner[1] / image[1]), corner, size)


def _fit_size(image: Size, size: Size) -> Size:
    return size[0], min(size[1], -(-image[1] * size[0] // image[0]))


def _cover_size(image: Size, size: Size) -> Size:
    scale = max(size[0] / image[0], size[1] / image[1])
    return max(size[0], round(image[0] * scale)), max(size[1], round(image[1] * scale))


def _letterbox_size(image: Size, size: Size) -> Size:
    scale = min(size[0] / image[0], size[1] / image[1])
    height, width = (
        min(limit, max(1, round(length * scale))) for length, limit in zip(image, size, strict=True)
    )
    return height, width


def _placed(image: Pixels, size: Size, corner: Size, pad: Sequence[int]) -> Pixels:
    """Return the image on a canvas of ``size`` filled with ``pad``, its top left at ``corner``."""
    canvas = np.empty((*size, image.shape[2]), dtype=np.uint8)
    canvas[:] = np.asarray(pad, dtype=np.uint8)
    top, left = corner
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas
