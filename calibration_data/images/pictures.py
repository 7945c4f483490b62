"""A sample as a small picture inside a text, for a report to show."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import numpy as np

from .geometry import Pixels

# pixels of the longer side, so that a report with twenty stays small
LONGEST = 160
_QUALITY = 85
_SMALL = 64  # pixels: below it PNG is smaller than JPEG, and exact


def picture_uri(pixels: Pixels, longest: int = LONGEST) -> str:
    """Return a data URI of uint8 (H, W, 1) or (H, W, 3) RGB, at most so many pixels wide and high.

    >>> picture_uri(np.zeros((2, 3, 1), np.uint8))[:32]
    'data:image/png;base64,iVBORw0KGg'
    """
    from PIL import Image

    values = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    image = Image.fromarray(np.ascontiguousarray(values))
    image.thumbnail((longest, longest))
    kind = "png" if max(image.size) <= _SMALL else "jpeg"
    file = BytesIO()
    image.save(file, kind, quality=_QUALITY)
    return f"data:image/{kind};base64,{b64encode(file.getvalue()).decode()}"
