"""The widths that a group may be cut to, and the error of those between the ones measured."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...core.types import Array

# a width is measured by running some samples; so many of a group are, whatever its size
_MEASURED = 5
# the error of a cut grows with a power of what is cut, and not faster than this
_STEEPEST = 4.0


def allowed_widths(size: int, step: int) -> list[int]:
    """Return the multiples of ``step`` below ``size``.

    >>> allowed_widths(256, 64)
    [64, 128, 192]
    >>> allowed_widths(50, 32), allowed_widths(32, 32)
    ([32], [])
    """
    return list(range(step, size, step))


def measured_widths(size: int, step: int) -> list[int]:
    """Return some of the allowed widths, denser where little is cut: most choices lie there.

    >>> measured_widths(1280, 32)
    [32, 768, 1088, 1216, 1248]
    """
    widths = allowed_widths(size, step)
    if len(widths) <= _MEASURED:
        return widths
    picks = np.geomspace(1, len(widths), _MEASURED).round().astype(int)
    return sorted({widths[-pick] for pick in picks})


def errors_between(size: int, step: int, measured: Mapping[int, float]) -> dict[int, float]:
    """Return the error of every allowed width: a power law in the cut, between those measured.

    ``measured`` maps width -> error, for the widths that ``measured_widths`` gives. An error that
    falls while more is cut is noise, and counts as no rise.

    >>> errors_between(64, 8, {8: 49.0, 40: 9.0, 48: 4.0, 56: 1.0})[24]
    25.0
    """
    points = sorted((size - width, max(error, 0.0)) for width, error in measured.items())
    cuts, errors = zip(*points, strict=True)
    rising = np.maximum.accumulate(errors)
    return {
        width: round(_between(size - width, np.array(cuts), rising), 12)
        for width in allowed_widths(size, step)
    }


def _between(cut: int, cuts: Array, errors: Array) -> float:
    at = int(np.searchsorted(cuts, cut))
    if cuts[at] == cut:
        return float(errors[at])
    low, high = errors[at - 1], errors[at]
    if low <= 0 or high <= 0:
        return float(np.interp(cut, cuts, errors))
    power = np.log(high / low) / np.log(cuts[at] / cuts[at - 1])
    return float(high * (cut / cuts[at]) ** min(power, _STEEPEST))
