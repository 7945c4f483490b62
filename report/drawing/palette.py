"""Colours that people with any colour vision tell apart, and their labels' ink.

Source: Okabe and Ito, Color universal design, 2008. Vermilion and green are left to what differs.
"""

from __future__ import annotations

from colorsys import hsv_to_rgb
from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]

BLACK, WHITE, GRAY = (0, 0, 0), (255, 255, 255), (110, 110, 110)
LOST, NEW = (213, 94, 0), (0, 158, 115)
_CLASSES = ((86, 180, 233), (230, 159, 0), (204, 121, 167), (240, 228, 66), (0, 114, 178))
_GOLDEN = 0.618034


def class_colour(index: int) -> Colour:
    """Return the colour of a class: one of five, then others all round the hues.

    >>> class_colour(1), class_colour(5) == class_colour(6)
    ((230, 159, 0), False)
    """
    if 0 <= index < len(_CLASSES):
        return _CLASSES[index]
    red, green, blue = hsv_to_rgb(index * _GOLDEN % 1, 0.55, 0.95)
    return int(255 * red), int(255 * green), int(255 * blue)


def ink_on(colour: Colour) -> Colour:
    """Return black or white, whichever is read better on a colour.

    >>> ink_on((240, 228, 66)), ink_on((0, 114, 178))
    ((0, 0, 0), (255, 255, 255))
    """
    red, green, blue = colour
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else WHITE
