"""How many bits a number format has, as its name says."""

from __future__ import annotations

import re

_NAME = re.compile(r"w(\d+)a(\d+)")


def bits_of(scheme: str) -> tuple[int, int] | None:
    """Return the bits of weights and activations; None for a name that is not of this form.

    >>> bits_of("w4a16"), bits_of("float16")
    ((4, 16), None)
    """
    match = _NAME.fullmatch(scheme)
    return (int(match[1]), int(match[2])) if match else None
