"""From an image of any size to the size of the model: stretch, letterbox, fit, crop.

All of it is ``cv2.resize`` with linear interpolation, which is what most programs on a board run.
Images are uint8 (H, W, C), sizes are (height, width) in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..core.errors import SamplesError

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
    inner = (size[0], min(size[1], -(-width * size[0] // height)))
    return _placed(resized(image, inner), size, (0, 0), pad)


def crop(image: Pixels, size: Size, pad: Sequence[int]) -> Pixels:
    """Keep the ratio so that the image covers ``size``, and cut the centre; no padding.

    For a square size this is "the shorter side to size, then the centre". Raises SamplesError
    when the image is so long and thin that the enlarged one would not fit into memory.
    """
    height, width = image.shape[:2]
    scale = max(size[0] / height, size[1] / width)
    cover = (max(size[0], round(height * scale)), max(size[1], round(width * scale)))
    if cover[0] * cover[1] > MAX_RESIZED_PIXELS:
        raise SamplesError(
            f"an image of {height}x{width} pixels is too long and thin to crop to "
            f"{size[0]}x{size[1]}",
            "use --resize letterbox or stretch, or leave the image out",
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
    """``cv2.resize`` with linear interpolation; the channel axis stays, also for one channel."""
    import cv2

    if image.shape[:2] == size:
        return image
    result = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(result, dtype=np.uint8).reshape(*size, image.shape[2])


def _letterbox_size(have: Size, want: Size) -> Size:
    scale = min(want[0] / have[0], want[1] / have[1])
    height, width = (
        min(limit, max(1, round(length * scale))) for length, limit in zip(have, want, strict=True)
    )
    return height, width


def _placed(image: Pixels, size: Size, corner: Size, pad: Sequence[int]) -> Pixels:
    """The image on a canvas of ``size`` filled with ``pad``, its top left pixel at ``corner``."""
    canvas = np.empty((*size, image.shape[2]), dtype=np.uint8)
    canvas[:] = np.asarray(pad, dtype=np.uint8)
    top, left = corner
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas
