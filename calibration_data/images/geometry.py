"""From an image of any size to the size of the model: stretch, letterbox, corner, fit, crop.

All of it is ``cv2.resize`` with linear interpolation, which is what most programs on a board run.
Images are uint8 (H, W, C), sizes are (height, width) in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def in_size(image: Pixels, resize: str, size: Size, pad: Sequence[int]) -> Pixels:
    """Return an image in ``size``; what it leaves free is filled with ``pad`` (C values).

    ``stretch`` resizes both axes, whatever the ratio. ``letterbox`` keeps the ratio and centres the
    image. ``corner`` keeps the ratio, rounds down, and leaves the image at the top left: Ge et al.,
    YOLOX, 2021, in ``preproc``. ``fit`` fills the height keeping the ratio, squeezes if that is too
    wide, and pads on the right. ``crop`` keeps the ratio so that the image covers the size, and
    cuts the centre: for a square size this is "the shorter side to size, then the centre". Raises
    SamplesError when an image is so long and thin that the enlarged one would not fit into memory.
    """
    height, width = image.shape[:2]
    inner, (top, left) = _inner(resize, (height, width), size)
    if resize == "crop" and inner[0] * inner[1] > MAX_RESIZED_PIXELS:
        raise SamplesError(
            f"an image of {height}x{width} pixels is too long and thin to crop to "
            f"{size[0]}x{size[1]}",
            f"use {option('resize', 'letterbox')} or stretch, or leave the image out",
        )
    whole = resized(image, inner)
    if inner[0] >= size[0] and inner[1] >= size[1]:
        return np.ascontiguousarray(whole[-top : size[0] - top, -left : size[1] - left])
    canvas = np.empty((*size, image.shape[2]), dtype=np.uint8)
    canvas[:] = np.asarray(pad, dtype=np.uint8)
    canvas[top : top + inner[0], left : left + inner[1]] = whole
    return canvas


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

    def back(self, image: Size) -> ImagePlacement:
        """Return the way back: where the input lies in the image of this height and width.

        >>> placement("letterbox", (100, 200), (64, 64)).back((100, 200)).corner
        (-50.0, 0.0)
        """
        corners = (-start / scale for start, scale in zip(self.corner, self.scale, strict=True))
        top, left = corners
        return ImagePlacement((1 / self.scale[0], 1 / self.scale[1]), (top, left), image)

    def of_size(self, size: Size) -> ImagePlacement:
        """Return the placement in a map of the input that has another height and width."""
        down, across = size[0] / self.size[0], size[1] / self.size[1]
        scale = self.scale[0] * down, self.scale[1] * across
        return ImagePlacement(scale, (self.corner[0] * down, self.corner[1] * across), size)

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
    """Return where an image of a size lies after ``in_size`` to the input's ``size``.

    >>> placement("letterbox", (100, 200), (64, 64)).corner
    (16, 0)
    """
    inner, corner = _inner(resize, image, size)
    return ImagePlacement((inner[0] / image[0], inner[1] / image[1]), corner, size)


def _inner(resize: str, image: Size, size: Size) -> tuple[Size, tuple[int, int]]:
    """Return the size that an image gets, and its top left corner; of a crop both are outside."""
    if resize == "fit":
        return (size[0], min(size[1], -(-image[1] * size[0] // image[0]))), (0, 0)
    ratios = size[0] / image[0], size[1] / image[1]
    if resize in ("letterbox", "corner"):
        whole = round if resize == "letterbox" else int
        height, width = (whole(length * min(ratios)) for length in image)
        height, width = min(size[0], max(1, height)), min(size[1], max(1, width))
        if resize == "corner":
            return (height, width), (0, 0)
        return (height, width), ((size[0] - height) // 2, (size[1] - width) // 2)
    if resize == "crop":
        height, width = (round(length * max(ratios)) for length in image)
        height, width = max(size[0], height), max(size[1], width)
        return (height, width), (-((height - size[0]) // 2), -((width - size[1]) // 2))
    return size, (0, 0)
