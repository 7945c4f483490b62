"""The order in which a person counts: img2 before img10."""

from __future__ import annotations

import re

NaturalKey = tuple[tuple[tuple[int, int, str], ...], str]


def natural_key(text: str) -> NaturalKey:
    """Return a sort key in which runs of digits compare as numbers, letters without case.

    >>> sorted(["img10", "img2", "Img1"], key=natural_key)
    ['Img1', 'img2', 'img10']
    """
    parts = re.split(r"([0-9]+)", text)
    # the text itself comes last, so that two names never tie ("1" and "01", "a" and "A")
    return tuple(_part_key(part) for part in parts if part), text


def _part_key(part: str) -> tuple[int, int, str]:
    if part[0] in "0123456789":
        # length first compares as numbers do, and has no limit on the number of digits
        digits = part.lstrip("0")
        return 0, len(digits), digits
    return 1, 0, part.casefold()
