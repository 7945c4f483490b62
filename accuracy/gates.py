"""Limits that a compressed model must keep. A gate that does not hold is a result, not an error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from ..core.diagnostics import option
from ..core.errors import OptionError
from ..core.results.part_figures import LEAST_VARIANCE, PartFigure
from ..core.results.report import ALIVE, FIDELITY, GateFigure
from .retention import Retention

Confidence = Literal["point", "lower"]

# A candidate may be better than its baseline, so a little above 1 is a fair limit; this is not.
_PER_CENT = 2.0
MEGABYTE = 1_000_000  # bytes, as storage is sold and as file managers count
# of signal over noise: below it an output is more noise than half its signal
LEAST_FIDELITY_DB = 3.0


def require_limits(
    min_retention: float | None, max_latency_ms: float | None, max_size_mb: float | None
) -> None:
    """Raise OptionError for a limit that no gate can have; None where none was asked for."""
    limits = {
        "min-retention": min_retention,
        "max-latency-ms": max_latency_ms,
        "max-size-mb": max_size_mb,
    }
    for name, limit in limits.items():
        if limit is not None:
            _check_limit(name, limit)
    if min_retention is not None and min_retention >= _PER_CENT:
        raise OptionError(
            f"{option('min-retention', min_retention)} looks like per cent", "98 % is written 0.98"
        )


def standing_gates(parts: Sequence[PartFigure]) -> tuple[GateFigure, ...]:
    """Judge what is always judged: that every part of the outputs is alive, and more than noise.

    The value of the first is the least variance of a part over the baseline's, 0 for one that is
    not finite, that of the second the worst part's SQNR in dB, of all samples or of the median one
    where loud ones would hide it. Where the baseline hardly varies
    nothing tells whether the result is alive, so there is no such gate.
    """
    gates = []
    ratios = [part.variance_ratio if part.finite else 0.0 for part in parts]
    judged = [ratio for ratio in ratios if ratio is not None]
    if judged:
        alive = all(part.is_alive for part in parts)
        gates.append(GateFigure(ALIVE, LEAST_VARIANCE, min(judged), alive))
    decibels = [part.closeness_db for part in parts if part.is_judged]
    if decibels:
        worst = min(decibels)
        gates.append(GateFigure(FIDELITY, LEAST_FIDELITY_DB, worst, worst >= LEAST_FIDELITY_DB))
    return tuple(gates)


def min_retention_gate(
    result: Retention | None,
    limit: float,
    confidence: Confidence = "point",
    kind: str | None = None,
) -> GateFigure:
    """Judge retention >= limit: its point estimate, or the interval's lower end for ``lower``.

    ``kind`` is board where that is what the result ran on.

    Raises OptionError when there is no retention to compare (no labelled samples, or a baseline
    that scores nothing), so that a gate never passes unchecked.
    """
    name = "min-retention"
    require_limits(limit, None, None)
    if result is None:
        raise OptionError(
            f"{option(name, limit)} cannot be checked without labelled samples",
            f"give labelled samples with {option('eval')}",
        )
    is_lower = confidence == "lower"
    value = result.low if is_lower else result.value
    if value is None:
        raise OptionError(
            f"{option(name, limit)} cannot be checked: a metric is not positive, so there is no "
            f"ratio (the difference is {result.difference:+.4g})",
            f"check that labels and model belong together, or use another {option('metric')}",
        )
    return GateFigure(name, limit, value, value >= limit, "low" if is_lower else None, kind)


def max_latency_gate(
    milliseconds: float | None,
    limit: float,
    confidence: Confidence = "point",
    high: float | None = None,
    kind: str | None = None,
) -> GateFigure:
    """Judge latency in ms <= limit: ``milliseconds``, or for ``lower`` the band's ``high`` end.

    ``kind`` says what that is: npu-estimate, host or board.

    That is the end which favours the user least; a measured latency without a band is judged as it
    is. Raises OptionError when no latency in ms is known.
    """
    name = "max-latency-ms"
    _check_limit(name, limit)
    if milliseconds is None or math.isnan(milliseconds):
        raise OptionError(
            f"{option(name, limit)} cannot be checked: there is no latency in milliseconds",
            f"give a {option('target')} with a latency estimate (rockpress inspect lists them), "
            "or a board",
        )
    if confidence == "lower" and high is not None:
        return GateFigure(name, limit, high, high <= limit, "high", kind)
    return GateFigure(name, limit, milliseconds, milliseconds <= limit, kind=kind)


def max_size_gate(size_bytes: int | None, limit: float) -> GateFigure:
    """Judge file size in MB (10^6 bytes) <= limit. Raises OptionError when no file was written."""
    name = "max-size-mb"
    _check_limit(name, limit)
    if size_bytes is None:
        raise OptionError(
            f"{option(name, limit)} cannot be checked: no model was written",
            "check the size where the model is written, with run, quantize or convert",
        )
    return GateFigure(name, limit, size_bytes / MEGABYTE, size_bytes <= limit * MEGABYTE)


def _check_limit(name: str, limit: float) -> None:
    if not (limit > 0 and math.isfinite(limit)):
        raise OptionError(f"{option(name, limit)} is not a positive number", "give the limit")
