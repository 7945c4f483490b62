"""Shares and ratios in per cent, in the one form that every text has."""

from __future__ import annotations

import math

_MOST_DECIMALS = 4


def percent_text(value: float, limit: float | None = None) -> str:
    """Return a share in per cent, with as many decimals as tell it from a limit.

    >>> percent_text(0.98571), percent_text(0.97996, 0.98), percent_text(0.98, 0.98)
    ('98.6%', '97.996%', '98.0%')
    """
    if not math.isfinite(value):
        return "unknown"
    decimals = 1
    while limit not in (None, value) and decimals < _MOST_DECIMALS:
        if f"{100 * value:.{decimals}f}" != f"{100 * (limit or 0.0):.{decimals}f}":
            break
        decimals += 1
    return f"{100 * value:.{decimals}f}%"


def percent_range(low: float, high: float) -> str:
    """Return the ends of an interval in per cent.

    >>> percent_range(0.979, 0.9921)
    '97.9 to 99.2%'
    """
    return f"{100 * low:.1f} to {100 * high:.1f}%"


def limit_percent(limit: float) -> str:
    """Return a limit in per cent, as it was given.

    >>> limit_percent(0.98), limit_percent(0.985)
    ('98%', '98.5%')
    """
    return f"{100 * limit:.6g}%"
