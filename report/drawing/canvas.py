"""What is drawn on: a picture large enough for letters, with places in the picture's own pixels."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import ceil, hypot, isfinite

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...calibration_data.images.geometry import Pixels
from ...core.results.predictions import Point
from ...core.types import Array
from ..text.escape import visible
from .palette import BLACK, WHITE, Colour, ink_on

# pixels of the longer side, below which a picture is enlarged
_LEAST = 320
_DASH = 4  # in widths of a line
_OPACITY = 0.45
_LONGEST_LABEL = 120


class Canvas:
    """A picture, uint8 (H, W, 1) or (H, W, 3) RGB, to draw on.

    A small one is enlarged by a whole number, and one above ``longest`` pixels made smaller.
    """

    def __init__(self, picture: Pixels, longest: int | None = None) -> None:
        plane = picture[..., 0] if picture.shape[-1] == 1 else picture[..., :3]
        image = Image.fromarray(np.ascontiguousarray(plane)).convert("RGB")
        side = max(image.size)
        self.scale = float(ceil(min(longest or _LEAST, _LEAST) / side))
        if longest is not None and side * self.scale > longest:
            self.scale = longest / side
        size = (max(1, round(length * self.scale)) for length in image.size)
        enlarged = Image.Resampling.NEAREST if self.scale > 1 else Image.Resampling.BILINEAR
        width, height = size
        self._image = image.resize((width, height), enlarged)
        self._draw, self._sides = ImageDraw.Draw(self._image), (width, height)
        # letters of a long and thin picture go by its thickness
        side = min(max(width, height), 4 * min(width, height))
        self.line = max(2, round(side / 400))
        self._font = ImageFont.load_default(size=max(11, round(side / 45)))

    @property
    def pixels(self) -> Pixels:
        """What was drawn, uint8 (H, W, 3)."""
        return np.asarray(self._image, np.uint8)

    def outline(self, points: Sequence[Point], colour: Colour, *, dashed: bool = False) -> None:
        """Draw the closed line through some points, which is seen on any ground."""
        ends = zip(points, [*points[1:], points[0]], strict=True)
        for start, end in ends:
            self.stroke(start, end, colour, dashed=dashed)

    def stroke(self, start: Point, end: Point, colour: Colour, *, dashed: bool = False) -> None:
        """Draw a line on a darker one."""
        for first, last in _dashes(self._at(start), self._at(end), self.line if dashed else 0):
            self._draw.line([first, last], BLACK, self.line + 2)
            self._draw.line([first, last], colour, self.line)

    def dot(self, point: Point, colour: Colour) -> None:
        """Draw a small disc."""
        x, y = self._at(point)
        radius = self.line + 1
        self._draw.ellipse([x - radius, y - radius, x + radius, y + radius], colour, BLACK)

    def label(self, corner: Point, text: str, colour: Colour) -> None:
        """Write on the colour, above a corner where there is room, else below it."""
        text, (x, y) = visible(text[:_LONGEST_LABEL]), self._at(corner)
        left, top, right, bottom = self._draw.textbbox((0, 0), text, font=self._font)
        width, height = right - left + 4, bottom - top + 4
        x = max(0, min(x, self._image.width - width))
        y = y - height if y >= height else max(0, min(y, self._image.height - height))
        self._draw.rectangle([x, y, x + width, y + height], colour)
        self._draw.text((x + 2 - left, y + 2 - top), text, ink_on(colour), self._font)

    def shade(self, mask: Array, colour: Colour) -> None:
        """Lay a colour over the pixels (H, W) of the picture that are set."""
        self._image.paste(colour, (0, 0), self._cover(mask))

    def tint(self, mask: Array, colours: Pixels) -> None:
        """Lay a colour each (H, W, 3) over the pixels that are set."""
        image = Image.fromarray(colours).resize(self._image.size, Image.Resampling.NEAREST)
        self._image.paste(image, (0, 0), self._cover(mask))

    def _cover(self, mask: Array) -> Image.Image:
        whole = Image.fromarray(np.asarray(mask, bool).astype(np.uint8) * round(255 * _OPACITY))
        return whole.resize(self._image.size, Image.Resampling.NEAREST)

    def caption(self, lines: Sequence[tuple[str, Colour | None]]) -> None:
        """Add lines below the picture, each with a square in its colour, if it has one."""
        step = ceil(self._draw.textbbox((0, 0), "Ag", font=self._font)[3]) + 4
        width, height = self._image.size
        below = Image.new("RGB", (width, height + step * len(lines) + 4), WHITE)
        below.paste(self._image)
        self._image, self._draw = below, ImageDraw.Draw(below)
        for number, (text, colour) in enumerate(lines):
            top, left = height + 2 + step * number, 4
            if colour is not None:
                self._draw.rectangle([left, top + 2, left + step - 6, top + step - 4], colour)
                left += int(step)
            self._draw.text(
                (left, top), self._fitting(visible(text), width - left), BLACK, self._font
            )

    def _fitting(self, text: str, width: int) -> str:
        """Return as much of a text as there is room for."""
        text = text[: max(width, 1)]  # no letter is narrower than a pixel
        if self._draw.textlength(text, self._font) <= width:
            return text

        def length(end: int) -> int:
            return ceil(self._draw.textlength(f"{text[:end]}...", self._font))

        return f"{text[: max(0, bisect_right(range(len(text)), width, key=length) - 1)]}..."

    def _at(self, point: Point) -> Point:
        """Return a place on the canvas, or not far from it: a broken model may give any."""
        x, y = (
            self._near(value * self.scale, side)
            for value, side in zip(point, self._sides, strict=True)
        )
        return x, y

    @staticmethod
    def _near(value: float, side: int) -> float:
        return min(max(value, -float(side)), 2.0 * side) if isfinite(value) else 0.0


def _dashes(start: Point, end: Point, width: int) -> list[tuple[Point, Point]]:
    """Return the pieces of a line; a ``width`` of 0 leaves it whole."""
    length = hypot(end[0] - start[0], end[1] - start[1])
    step = 2 * _DASH * width
    if not width or length < step:
        return [(start, end)]
    ways = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)

    def at(distance: float) -> Point:
        distance = min(distance, length)
        return start[0] + ways[0] * distance, start[1] + ways[1] * distance

    return [(at(step * part), at(step * (part + 0.5))) for part in range(ceil(length / step))]
