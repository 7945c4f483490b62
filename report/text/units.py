"""Figures as short texts."""

from __future__ import annotations

import math

from ...core.results.model_figures import Memory

UNKNOWN = "-"


def finite(value: float | None) -> float | None:
    """Return a number, or None for one that is infinite or NaN.

    >>> finite(0.5), finite(math.inf), finite(None)
    (0.5, None, None)
    """
    return value if value is not None and math.isfinite(value) else None


def number_text(value: float | None, form: str) -> str:
    """Return a number as Python formats it; a dash for None, infinities and NaN.

    >>> number_text(0.98765, ".2f"), number_text(None, ".2f")
    ('0.99', '-')
    """
    return UNKNOWN if finite(value) is None else format(value, form)


def digits_text(value: float) -> str:
    """Return a number with two decimals, or as many more as two figures need.

    >>> digits_text(12.345), digits_text(0.00421), digits_text(0.0)
    ('12.35', '0.0042', '0.00')
    """
    decimals = 1 - math.floor(math.log10(value)) if 0 < value < 0.1 else 2
    return f"{value:.{decimals}f}"


def ms_text(ms: float | None) -> str:
    """Return milliseconds with their unit; a dash for None.

    >>> ms_text(5.8), ms_text(None)
    ('5.80 ms', '-')
    """
    return UNKNOWN if ms is None else f"{digits_text(ms)} ms"


def size_text(size: int) -> str:
    """Return a number of bytes in decimal units.

    >>> size_text(880_631), size_text(950)
    ('880.6 kB', '950 B')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def memory_bytes(memory: Memory | None) -> int | None:
    """Return all that a model takes on the chip while it runs, None where that is not known."""
    return memory.internal_bytes + memory.weight_bytes if memory else None


def memory_cell(memory: Memory | None) -> str:
    """Return all that a model takes on the chip while it runs, a dash where that is not known.

    >>> memory_cell(Memory(2_100_000, 3_400_000)), memory_cell(None)
    ('5.5 MB', '-')
    """
    taken = memory_bytes(memory)
    return UNKNOWN if taken is None else size_text(taken)


def memory_text(memory: Memory) -> str:
    """Return what a model takes of the chip's memory while it runs.

    >>> memory_text(Memory(2_100_000, 3_400_000))
    'memory 2.1 MB for feature maps, 3.4 MB for weights'
    """
    internal, weights = size_text(memory.internal_bytes), size_text(memory.weight_bytes)
    return f"memory {internal} for feature maps, {weights} for weights"


def count_text(count: int | None) -> str:
    """Return a count in thousands, millions or thousands of millions (G).

    >>> count_text(1_012_492_800), count_text(14_500_288), count_text(216_714), count_text(None)
    ('1.01 G', '14.50 M', '216.7 k', '-')
    """
    if count is None:
        return UNKNOWN
    if count >= 999_995_000:  # what would be shown as 1000.00 M
        return f"{count / 1e9:.2f} G"
    if count >= 1_000_000:
        return f"{count / 1e6:.2f} M"
    return f"{count / 1e3:.1f} k" if count >= 1000 else str(count)


def counted(count: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "weight"), counted(2, "weight")
    ('1 weight', '2 weights')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def span_text(seconds: float) -> str:
    """Return a time span in its two largest units.

    >>> span_text(42.4), span_text(756.9), span_text(7300)
    ('42 s', '12 min 37 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, left = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {left} s"
    return f"{minutes // 60} h {minutes % 60} min"
