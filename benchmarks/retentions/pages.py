"""Drawn pages of text with the boxes of their lines, upright or turned by quarters.

A word of the text lines (quantizations/lines.py) is the unit; a page belongs to the calibration or
to the test by its seed. Normalised with the mean and the deviation of ImageNet, as PaddleOCR does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..quantizations.crops import Sample
from ..quantizations.lines import drawn_line

_SEED = 842
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
Boxes = list[tuple[int, int, int, int]]


def pages(role: str, count: int, size: int, *, is_turned: bool = False) -> Iterator[Sample]:
    """Yield ``count`` pages (3, size, size).

    ``text`` is the boxes of the lines (left, top, right, bottom) as JSON; if ``is_turned``, by how
    many quarters clockwise the page lies instead, 0 to 3 in turn.
    """
    rng = np.random.default_rng([_SEED, size, role == "test"])
    for index in range(count):
        picture, boxes = _page(rng, size)
        text = json.dumps(boxes)
        if is_turned:
            picture, text = picture.rotate(-90 * (index % 4)), str(index % 4)
        yield Sample(_prepared(picture), f"page {index}", text)


def _page(rng: np.random.Generator, size: int) -> tuple[Any, Boxes]:
    """Return a page on which lines stand below each other, and the box of each."""
    from PIL import Image

    picture = Image.new("RGB", (size, size), tuple(int(tone) for tone in rng.integers(190, 256, 3)))
    boxes: Boxes = []
    top = int(rng.integers(4, size // 8))
    while top < size * 0.85:
        line = drawn_line(rng)
        height = int(rng.integers(size // 16, size // 8))
        width = min(round(line.width * height / line.height), size - 16)
        left = int(rng.integers(4, size - width - 4))
        if top + height < size - 4:
            picture.paste(line.resize((width, height)), (left, top))
            boxes.append((left, top, left + width, top + height))
        top += height + int(rng.integers(size // 40, size // 10))
    return picture, boxes


def _prepared(picture: Any) -> Any:
    scaled = (np.asarray(picture, np.float32) - _MEAN) / _STD
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), np.float32)
